'use strict'

// Validates every argument of the public API and turns it into what the addon takes.

const description = require('./description')
const options = require('./options')
const requests = require('./requests')
const targets = require('./targets')

module.exports = { ...description, ...options, ...requests, ...targets }
