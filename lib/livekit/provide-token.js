'use strict'

const { describe, kind } = require('../error')

/**
 * Answers the addon's `question` for a token, which it asks each time it joins a room, so that the token has not
 * expired. `token` is the option `output.token`. Never rejects; a failure is passed to the addon as a message.
 */
async function provideToken(native, question, token) {
  try {
    const given = typeof token === 'function' ? await token() : token
    if (typeof given !== 'string' || given === '') throw new Error(`it gave ${kind(given)}`)
    native.answer(question, given)
  } catch (error) {
    native.answer(question, undefined, `output.token gave no access token: ${describe(error)}`)
  }
}

module.exports = { provideToken }
