'use strict'

const check = require('./check')
const { fallBackToNetwork, passEnvironment } = require('./native')

/** Variables that the addon reads; SPEAKER_SESSION_NETWORK is read here. */
const VARIABLES = [
  'SPEAKER_SESSION_LOG', 'NODE_EXTRA_CA_CERTS', 'REQUEST_METHOD',
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY'].flatMap((name) => [name, name.toLowerCase()])
]

/** True once the environment's `network` was read. */
let isApplied = false

/** Passes the variables on as they are now, where changes of process.env are not written through to the process: in Bun. */
function passVariables() {
  if (process.versions.bun) passEnvironment(Object.fromEntries(VARIABLES.filter((name) => name in process.env).map((name) => [name, process.env[name]])))
}

/**
 * Applies the environment as it is now, for a session, a clip or a probe with this `network`. The rule of the environment is applied to the
 * process unless another one was set; it is read whenever no rule is given, so that an invalid one is reported as an error, and nothing is
 * played under another rule.
 */
function useEnvironment(network) {
  passVariables()
  if (network || isApplied) return
  const fallback = check.environmentNetwork()
  if (fallback) fallBackToNetwork(fallback)
  isApplied = true
}

module.exports = { passVariables, useEnvironment }
