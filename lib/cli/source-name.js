'use strict'

const path = require('node:path')

/** Returns the last part of a path or URL, without its query; the host for a URL without a path. */
function sourceName(source) {
  if (/^data:/i.test(source)) return 'data:'
  if (!/^https?:/i.test(source) || !URL.canParse(source)) return path.basename(source) || source
  const { pathname, host } = new URL(source)
  return path.basename(pathname) || host
}

module.exports = { sourceName }
