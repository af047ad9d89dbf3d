'use strict'

// Node's permission model (`node --permission`) does not see what an addon does with files, so it is checked here.

const path = require('node:path')

const { denied } = require('../error')

/** Returns `file`; throws if it may not be read. */
function readable(file, argument) {
  return permitted(file, argument, 'fs.read', ['read it (--allow-fs-read)', 'FileSystemRead'])
}

/** Returns `file`, if there is one; throws if it may not be written. */
function writable(file, argument) {
  return file && permitted(file, argument, 'fs.write', ['write it (--allow-fs-write)', 'FileSystemWrite'])
}

function permitted(file, argument, scope, [expected, permission]) {
  const resource = path.resolve(file)
  if (process.permission?.has(scope, resource) === false) throw denied(expected, argument, permission, resource)
  return file
}

module.exports = { readable, writable }
