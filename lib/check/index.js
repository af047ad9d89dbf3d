'use strict'

// Turns what the user gives into what the addon takes.

const options = require('./options')
const requests = require('./requests')
const { base64, writeRequest, flushRequest, endRequest } = require('./streams')
const targets = require('./targets')

module.exports = { ...options, ...requests, ...targets, base64, writeRequest, flushRequest, endRequest }
