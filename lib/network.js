'use strict'

const check = require('./check')
const { fallBackToNetwork } = require('./native')

/** True once the environment variable was read. */
let isApplied = false

/**
 * Applies the environment's `network` rule to this process, unless another one was set. Called whenever no rule is given, so that an invalid
 * one is reported as an error, and nothing is played under another rule.
 */
function useEnvironment() {
  if (isApplied) return
  const network = check.environmentNetwork()
  if (network) fallBackToNetwork(network)
  isApplied = true
}

module.exports = { useEnvironment }
