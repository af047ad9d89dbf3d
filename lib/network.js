'use strict'

const check = require('./check')
const { fallBackToNetwork } = require('./native')

/** Whether the environment was asked. */
let isAsked = false

/**
 * Has what the environment says of `network` count in this process, unless something else was set. Asked by whoever says nothing of it
 * itself, so that what is no rule is told as an error, and nothing is played under another one.
 */
function useEnvironment() {
  if (isAsked) return
  const network = check.environmentNetwork()
  if (network) fallBackToNetwork(network)
  isAsked = true
}

module.exports = { useEnvironment }
