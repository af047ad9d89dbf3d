'use strict'

/** Runs `work` in a child process once, with what its parent sends. A failure is printed and sets the exit code. */
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
