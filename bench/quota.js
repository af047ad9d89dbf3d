'use strict'

// What a CPU quota (Linux' CFS bandwidth control: `limits.cpu` of Kubernetes, `docker run --cpus`) does to sessions that all speak: first without one,
// then with quotas of so many times the CPU that they took without. The process of the sessions alone is in the group that has the quota, not the server.
// Needs a cgroup that may be made: root, and /sys/fs/cgroup writable. It only reports.
//
// `node bench/quota.js [COUNT]`

const { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } = require('node:fs')
const path = require('node:path')

const { WINDOW_MS, load, writeSounds } = require('./loads')
const { operands, save } = require('./results')
const { startServer } = require('../scripts/livekit-server')

const [COUNT = '50'] = operands()
const PERIOD_US = 100_000
/** Times the CPU that the sessions take without a quota, and the period in µs. */
const QUOTAS = [[4, PERIOD_US], [2, PERIOD_US], [1.5, PERIOD_US], [1.5, PERIOD_US / 10], [1.1, PERIOD_US]]

const CGROUP = '/sys/fs/cgroup'
const isV2 = existsSync(path.join(CGROUP, 'cgroup.controllers'))
const group = path.join(CGROUP, isV2 ? '' : 'cpu', `speaker-session-quota-${process.pid}`)

const WIDTHS = [10, 12, 12, 10, 12, 10]
const HEADS = ['cores', 'period ms', 'throttled', 'late', 'real time', 'CPU %']

function line(cells) {
  console.log(cells.map((cell, n) => String(cell).padStart(WIDTHS[n])).join(''))
}

/** Sets the quota of the group, in µs of CPU for each period. */
function limit(quotaUs, periodUs) {
  const write = (file, text) => writeFileSync(path.join(group, file), String(text))
  if (isV2) return write('cpu.max', `${quotaUs} ${periodUs}`)
  write('cpu.cfs_quota_us', -1) // the kernel refuses a period that makes too much of the old quota
  write('cpu.cfs_period_us', periodUs)
  write('cpu.cfs_quota_us', quotaUs)
}

/** Returns the number of periods so far, and of those in which the group was halted. */
function periods() {
  const counts = Object.fromEntries(readFileSync(path.join(group, 'cpu.stat'), 'utf8').trim().split('\n').map((row) => row.split(' ')))
  return [Number(counts.nr_periods), Number(counts.nr_throttled)]
}

async function main() {
  try {
    mkdirSync(group)
  } catch ({ message }) {
    throw new Error(`no cgroup can be made here, so no quota can be set: ${message}`)
  }
  process.once('exit', () => rmdirSync(group))
  writeSounds()
  const server = await startServer()
  const rows = []
  const measure = async (quota, periodUs) => {
    const before = periods()
    const enter = (pid) => writeFileSync(path.join(group, 'cgroup.procs'), String(pid))
    const { sessions, cores, late, sound, odd } = await load(server, 'ours', Number(COUNT), {}, enter)
    const [all, throttled] = periods().map((count, n) => count - before[n])
    rows.push({ sessions, quota, periodUs, cores, late, throttled: all > 0 ? throttled / all : 0 })
    const percent = (part) => `${(100 * part).toFixed(2)} %`
    line([quota?.toFixed(3) ?? 'none', periodUs ? periodUs / 1000 : '', percent(rows.at(-1).throttled), percent(late), percent(sound / sessions), (100 * cores).toFixed(1)])
    if (odd.length > 0) console.log(`  ${odd.join(', ')}`)
    return cores
  }
  try {
    console.log(`${COUNT} sessions that speak, for ${WINDOW_MS / 1000} s; throttled: the share of the periods in which all threads were halted, joining included`)
    line(HEADS)
    const cores = await measure()
    for (const [times, periodUs] of QUOTAS) {
      const quotaUs = Math.round(times * cores * periodUs)
      limit(quotaUs, periodUs)
      await measure(quotaUs / periodUs, periodUs)
    }
    save('quota', rows)
  } finally {
    await server.stop()
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
