'use strict'

// `speaker-session/testing`: tools for test suites to play something and to check what was heard. Documented in index.d.ts.

const { level, soundsIn, tonesIn } = require('./hear')
const { drip, flakyServer } = require('./server')
const { finish, testSession } = require('./session')
const { recordTap } = require('./tap')
const { readWav, tone, wavFile } = require('./wav')

module.exports = { drip, finish, flakyServer, level, readWav, recordTap, soundsIn, testSession, tone, tonesIn, wavFile }
