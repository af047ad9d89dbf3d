'use strict'

/** The number that join at once: more would measure an overloaded server. */
const AT_ONCE = 10

/** Opens one session per token, `atOnce` at a time. */
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
