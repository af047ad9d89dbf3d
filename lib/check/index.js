'use strict'

// Turns what the user gives into what the addon takes.

const { sessionOptions, tapOptions } = require('./options')
const requests = require('./requests')
const { writeRequest, flushRequest, endRequest } = require('./streams')
const targets = require('./targets')

module.exports = { sessionOptions, tapOptions, ...requests, ...targets, writeRequest, flushRequest, endRequest }
