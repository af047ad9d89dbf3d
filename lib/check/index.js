'use strict'

// Turns what the user gives into what the addon takes.

const { sessionOptions } = require('./options')
const requests = require('./requests')

module.exports = { sessionOptions, ...requests }
