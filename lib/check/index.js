'use strict'

// Validates every argument of the public API and turns it into what the addon takes.

const options = require('./options')
const requests = require('./requests')
const targets = require('./targets')

module.exports = { ...options, ...requests, ...targets }
