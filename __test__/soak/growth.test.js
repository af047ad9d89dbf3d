'use strict'

// The estimator of the soak: growth that it must detect, and noise that must not mislead it.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { random } = require('../support/random')
const { growth } = require('./growth')

const next = random(3)
const noisy = (make) => Array.from({ length: 30 }, (_, n) => make(n) + next(600) / 100 - 3)

test('detects a leak in noise', () => {
  for (let n = 0; n < 100; n++) {
    const flat = growth(noisy(() => 100))
    const leaky = growth(noisy((n) => 100 + n))
    assert.ok(Math.abs(flat) < 5, `flat grows by ${flat}`)
    assert.ok(leaky > 14 && leaky < 24, `29 in all, 19 in two thirds: ${leaky}`)
  }
})

test('ignores a warm-up, a peak and a step', () => {
  assert.equal(growth(Array.from({ length: 30 }, (_, n) => (n < 10 ? n * 50 : 500))), 0)
  assert.equal(growth(Array.from({ length: 30 }, (_, n) => (n === 20 ? 900 : 100))), 0)
  assert.ok(growth(Array.from({ length: 30 }, (_, n) => (n === 29 ? 200 : 100))) === 0)
})
