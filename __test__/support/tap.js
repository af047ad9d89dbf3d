'use strict'

const { listen, timeline } = require('../../lib/testing/tap')

module.exports = { listen, timeline }
