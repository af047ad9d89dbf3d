'use strict'

const check = require('./check')
const { fallBackToNetwork } = require('./native')

/** True once the environment variable was read. */
let isAsked = false

/**
 * Applies the environment's `network` rule to this process, unless another one was set. Called whenever no rule is given, so that an invalid
 * one is reported as an error, and nothing is played under another rule.
 */
function useEnvironment() {
  if (isAsked) return
  const network = check.environmentNetwork()
  if (network) fallBackToNetwork(network)
  isAsked = true
}

module.exports = { useEnvironment }
