'use strict'

/** How many join at once: a server under a storm would be what is measured. */
const AT_ONCE = 10

/** Opens one with each token, so many at a time. */
async function openAll(tokens, open, atOnce = AT_ONCE) {
  const opened = []
  const errors = []
  const queue = tokens.values()
  const worker = async () => {
    for (const token of queue) {
      await open(token).then((one) => opened.push(one), (error) => errors.push(error.message))
    }
  }
  const start = performance.now()
  await Promise.all(Array.from({ length: atOnce }, worker))
  return { opened, errors, readyMs: performance.now() - start }
}

module.exports = { openAll }
