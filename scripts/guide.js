#!/usr/bin/env node
'use strict'

// A wrapper of rustc (RUSTC_WRAPPER) for `npm run fuzz -- --guided`: it instruments the code that reads hostile bytes to count the edges
// that are taken. Stable Rust can do so with LLVM's own pass; tests/fuzz/coverage.rs reads the counts.

const { spawnSync } = require('node:child_process')

const [rustc, ...args] = process.argv.slice(2)
const name = args[args.indexOf('--crate-name') + 1] ?? ''
const counts = /^(symphonia|speaker_session|nanomp3|turn_client|turn_types|stun_|str0m|dimpl|is$)/.test(name)
const pass = ['-sanitizer-coverage-level=3', '-sanitizer-coverage-inline-8bit-counters']
const flags = ['-Cpasses=sancov-module', ...pass.map((option) => `-Cllvm-args=${option}`), '-Ccodegen-units=1']
const { status } = spawnSync(rustc, counts ? [...args, ...flags] : args, { stdio: 'inherit' })
process.exitCode = status ?? 1
