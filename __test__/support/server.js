'use strict'

const { drip, flakyServer } = require('../../lib/testing')

/** A server for one test that answers as asked; says its address. */
async function serve(t, answer) {
  return (await flakyServer(answer, t)).url
}

module.exports = { drip, serve }
