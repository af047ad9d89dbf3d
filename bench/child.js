'use strict'

/** Does in a child process what its parent sends it, once. A failure is printed, and is the exit code. */
function serve(work) {
  process.once('message', async (load) => {
    try {
      await work(load)
    } catch (error) {
      console.error(error)
      process.exitCode = 1
    }
    process.disconnect()
  })
}

module.exports = { serve }
