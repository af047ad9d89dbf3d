'use strict'

// Where the addon comes from: built in the package, or the prebuilt package of the platform; and what is said where neither loads.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { describe, it } = require('node:test')

const { version } = require('../../package.json')
const { PREBUILT, packageName, platformName } = require('../../lib/platform')

const ROOT = path.join(__dirname, '..', '..')
const ADDON = path.join(ROOT, 'speaker-session.node')
const HERE = platformName()
const OTHER = HERE === 'darwin-arm64' ? 'linux-x64-gnu' : 'darwin-arm64'

/** Makes a project with this package in node_modules, and these files (path → content). */
function project(t, files = {}, { at = 'node_modules/speaker-session' } = {}) {
  const folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'speaker-session-')))
  t.after(() => rmSync(folder, { recursive: true }))
  for (const name of ['package.json', 'index.js', 'lib']) cpSync(path.join(ROOT, name), path.join(folder, at, name), { recursive: true })
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true })
    writeFileSync(path.join(folder, name), content)
  }
  return folder
}

/** Installs the package of a platform, with the addon of this checkout or with what `addon` is. */
function installPrebuilt(folder, platform, { version: its = version, addon } = {}) {
  const there = path.join(folder, 'node_modules', packageName(platform))
  mkdirSync(there, { recursive: true })
  const main = `speaker-session.${platform}.node`
  writeFileSync(path.join(there, 'package.json'), JSON.stringify({ name: packageName(platform), version: its, main }))
  if (addon === undefined) symlinkSync(ADDON, path.join(there, main))
  else writeFileSync(path.join(there, main), addon)
}

/** Loads the package in a process that believes to run on `platform`, `arch` and `report`; returns what it says of itself and the file of its addon. */
function load(folder, { at = 'node_modules/speaker-session', platform, arch, report } = {}) {
  const pretend = `
    for (const [name, value] of Object.entries(${JSON.stringify({ platform, arch })})) Object.defineProperty(process, name, { value })
    const report = ${JSON.stringify(report)}
    if (report) process.report.getReport = () => report`
  const script = `
    const { SpeakerSession } = require(${JSON.stringify(path.join(folder, at))})
    const addon = Object.keys(require.cache).find((file) => file.endsWith('.node'))
    console.log(JSON.stringify({ sessions: SpeakerSession.processStats().sessions, addon }))`
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', `${platform || arch || report ? pretend : ''}\n${script}`], { cwd: folder, encoding: 'utf8' })
  return status === 0 ? JSON.parse(stdout) : { message: /Error: ([^]*?)\n {4}at /.exec(stderr)?.[1] ?? stderr }
}

const UNLOADABLE = 'no library'
const failed = 'The speaker-session addon could not be loaded: '
const source = (run, folder) => `\n  - It can be built from source, with Rust, cmake and a C compiler, in minutes: \`${run} speaker-session build\` in ${folder}.`

describe('the addon', () => {
  it('is the one that was built in the package', (t) => {
    const folder = project(t)
    installPrebuilt(folder, HERE, { addon: UNLOADABLE })
    const built = path.join(folder, 'node_modules', 'speaker-session', 'speaker-session.node')
    cpSync(ADDON, built)
    assert.deepEqual(load(folder), { sessions: 0, addon: built })
  })

  it('is that of the prebuilt package', (t) => {
    const folder = project(t)
    installPrebuilt(folder, HERE)
    assert.deepEqual(load(folder), { sessions: 0, addon: ADDON })
  })

  const musl = { header: {}, sharedObjects: ['/usr/bin/node', '/lib/ld-musl-x86_64.so.1'] }
  const glibc = { header: { glibcVersionRuntime: '2.31' }, sharedObjects: ['/lib/ld-musl-x86_64.so.1'] }
  const platforms = {
    'darwin-arm64': { platform: 'darwin', arch: 'arm64' },
    'darwin-x64': { platform: 'darwin', arch: 'x64' },
    'linux-arm64-gnu': { platform: 'linux', arch: 'arm64', report: glibc },
    'linux-arm64-musl': { platform: 'linux', arch: 'arm64', report: musl },
    'linux-x64-gnu': { platform: 'linux', arch: 'x64', report: glibc },
    'linux-x64-musl': { platform: 'linux', arch: 'x64', report: musl },
    'win32-x64-msvc': { platform: 'win32', arch: 'x64' }
  }
  it('has a prebuilt package for each platform', (t) => {
    assert.deepEqual(Object.keys(platforms), Object.keys(PREBUILT))
    const folder = project(t)
    for (const platform of Object.keys(platforms)) installPrebuilt(folder, platform)
    for (const [platform, process] of Object.entries(platforms)) {
      // Found by its own name: what another platform's process loads is this machine's addon all the same.
      rmSync(path.join(folder, 'node_modules', packageName(platform)), { recursive: true })
      assert.match(load(folder, process).message, new RegExp(`: the package ${packageName(platform)}@${version} is not installed\\n`))
      installPrebuilt(folder, platform)
      assert.deepEqual(load(folder, process), { sessions: 0, addon: ADDON }, platform)
    }
  })
})

describe('an addon that does not load', () => {
  const cases = [
    {
      what: 'was built elsewhere',
      arrange: (folder) => writeFileSync(path.join(folder, 'node_modules', 'speaker-session', 'speaker-session.node'), UNLOADABLE),
      says: (folder) => [/speaker-session\.node: \S/, 'It was built on another platform, or with a newer C library', source('npx', folder)]
    },
    {
      what: 'is damaged',
      arrange: (folder) => installPrebuilt(folder, HERE, { addon: UNLOADABLE }),
      says: (folder) => [new RegExp(`speaker-session\\.${HERE}\\.node: \\S`), source('npx', folder)]
    },
    {
      what: 'needs a newer glibc',
      arrange: (folder) => installPrebuilt(folder, 'linux-x64-gnu', { addon: UNLOADABLE }),
      process: { platform: 'linux', arch: 'x64', report: { header: { glibcVersionRuntime: '2.9' } } },
      says: (folder) => ['\n  - It needs glibc 2.28 or newer; this is glibc 2.9.', source('npx', folder)]
    },
    {
      what: 'has another version',
      arrange: (folder) => installPrebuilt(folder, HERE, { version: '0.0.1' }),
      files: { 'yarn.lock': '' },
      says: (folder) => [
        `Expected ${packageName(HERE)}@${version} but found 0.0.1\n  - An addon works with its own version alone: run \`yarn add speaker-session@${version}\` in ${folder}.`,
        source('yarn run', folder)
      ]
    },
    {
      what: 'is not prebuilt',
      process: { platform: 'freebsd', arch: 'x64' },
      says: (folder) => ['there is no prebuilt package for freebsd-x64', source('npx', folder)]
    },
    {
      what: 'is of another platform',
      arrange: (folder) => installPrebuilt(folder, OTHER),
      says: (folder) => [
        `the package ${packageName(HERE)}@${version} is not installed\n  - ${packageName(OTHER)} is: node_modules was installed on another platform or by another Node. ` +
        `Delete node_modules, and run \`npm install --include=optional\` in ${folder}.`
      ]
    },
    {
      what: 'is not in the lockfile',
      files: { 'package-lock.json': '{}' },
      says: (folder) => [`package-lock.json does not have it: that was written on another platform, or without optional dependencies. Delete it and node_modules, and run \`npm install --include=optional\` in ${folder}.`]
    },
    {
      what: 'was left out',
      files: { 'package-lock.json': packageName(HERE) },
      says: (folder) => [`Optional dependencies were left out: run \`npm install --include=optional\` in ${folder}.`, source('npx', folder)]
    },
    {
      what: 'was not built in a repository',
      at: 'repository',
      says: () => [`there is neither speaker-session.node nor the package ${packageName(HERE)}\n  - In a copy of the repository, \`npm run build:addon\` builds it.`]
    }
  ]
  for (const { what, arrange = () => {}, files, process, at, says } of cases) {
    it(what, (t) => {
      const folder = project(t, files, { at })
      arrange(folder)
      const { message } = load(folder, { at, ...process })
      assert.ok(message?.startsWith(failed), message)
      for (const part of says(folder)) assert.ok(part instanceof RegExp ? part.test(message) : message.includes(part), `${message}\nlacks ${part}`)
    })
  }

  const managers = [
    ['pnpm, by its lockfile', { 'pnpm-lock.yaml': '' }, 'pnpm install', 'pnpm exec'],
    ['pnpm, by node_modules', { 'node_modules/.modules.yaml': '', 'package-lock.json': '', 'yarn.lock': '' }, 'pnpm install', 'pnpm exec'],
    ['Yarn', { 'yarn.lock': '' }, 'yarn install', 'yarn run'],
    ['Yarn 1, by node_modules', { 'node_modules/.yarn-integrity': '', 'yarn.lock': '' }, 'yarn install --force', 'yarn run'],
    ['Yarn 4, by node_modules', { 'node_modules/.yarn-state.yml': '' }, 'yarn install', 'yarn run'],
    ['Bun', { 'bun.lock': '' }, 'bun install', 'bunx'],
    ['npm, by node_modules', { 'node_modules/.package-lock.json': '{}', 'yarn.lock': '' }, 'npm install --include=optional', 'npx'],
    ['nobody known', {}, 'npm install --include=optional', 'npx']
  ]
  for (const [what, files, install, run] of managers) {
    it(`names the commands of ${what}`, (t) => {
      const folder = project(t, files)
      const { message } = load(folder)
      assert.ok(message.includes(`run \`${install}\` in ${folder}`), message)
      assert.ok(message.endsWith(source(run, folder)), message)
    })
  }

  it('finds the package manager of a workspace', (t) => {
    const at = 'packages/server/node_modules/speaker-session'
    const folder = project(t, { 'pnpm-lock.yaml': '', 'packages/server/package.json': '{}' }, { at })
    assert.ok(load(folder, { at }).message.endsWith(source('pnpm exec', folder)))
  })
})
