'use strict'

// `npm run test:install`: packs this package and that of this platform (made by `npm run prebuild`), installs both as a user does, in empty folders, by
// each package manager, from a registry on loopback, with nothing but Node and a shell on the PATH; and runs there what the README shows: its quick start, required,
// imported and as TypeScript, and a room. Where optional dependencies were left out, the command that the error names has to help. Exits with 1 if a check
// fails. `--only=<text>` chooses package managers by their names.

const assert = require('node:assert/strict')
const { execFileSync, spawn } = require('node:child_process')
const { once } = require('node:events')
const { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, realpathSync, rmSync, statSync, symlinkSync, writeFileSync } = require('node:fs')
const { createServer } = require('node:http')
const os = require('node:os')
const path = require('node:path')
const { parseArgs } = require('node:util')

const { version } = require('../../package.json')
const { PREBUILT, packageName, platformName } = require('../../lib/platform')
const { startServer } = require('../../scripts/livekit-server')
const { pack } = require('../../scripts/pack')
const { describe } = require('../../scripts/prebuild')
const { roomOn } = require('../support/room')
const { MANAGERS } = require('./managers')
const { openRegistry } = require('./registry')

const ROOT = path.join(__dirname, '..', '..')
const HERE = platformName()
/** Of each package, as it is downloaded. */
const MOST_BYTES = 8_000_000
const LIMIT_MS = 120_000
/** In full scale: what is heard of a sound at least, at its loudest. */
const AUDIBLE = 0.05

const { values: { only = '' } } = parseArgs({ options: { only: { type: 'string' } } })

const work = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'install-')))
process.once('exit', () => rmSync(work, { recursive: true, force: true }))
process.once('SIGINT', () => process.exit(130))

/** Runs a program to its end; returns what it printed. Throws if it fails. */
async function run([program, ...args], cwd, env) {
  const { code, output } = await attempt([program, ...args], cwd, env)
  assert.equal(code, 0, `${path.basename(program)} ${args.join(' ')} ended with ${code}:\n${output}`)
  return output
}

async function attempt([program, ...args], cwd, env) {
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: LIMIT_MS, killSignal: 'SIGKILL' })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data))
  const [code, signal] = await once(child, 'close')
  return { code: code ?? signal, output }
}

/** Packs a folder as a release does; returns `{ described, tarball }`. */
function packed(folder) {
  const file = pack(folder, mkdtempSync(path.join(work, 'pack-')))
  return { described: JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')), tarball: readFileSync(file) }
}

/** Returns the package of another platform, of which only the description is real: it is for package managers not to choose. */
function stub(platform) {
  const folder = mkdtempSync(path.join(work, 'stub-'))
  const described = describe(platform)
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify(described))
  writeFileSync(path.join(folder, described.main), 'not built here')
  return packed(folder)
}

/** Returns all packages of a release. */
function packAll() {
  const prebuilt = path.join(ROOT, 'npm', HERE)
  if (!existsSync(prebuilt)) throw new Error(`There is no npm/${HERE}: \`npm run prebuild\` makes it`)
  execFileSync(process.execPath, [path.join(ROOT, 'scripts', 'package.js')], { stdio: ['ignore', 'ignore', 'inherit'] })
  const [main, ours] = [packed(path.join(ROOT, 'npm', 'speaker-session')), packed(prebuilt)]
  assert.equal(ours.described.version, version, 'npm/ has the version of this checkout')
  const others = Object.keys(PREBUILT).filter((platform) => platform !== HERE)
  return { main, ours, all: [main, ours, ...others.map(stub)] }
}

/** Returns a PATH that has Node and a shell alone. */
function nodeAlone(node) {
  const folder = mkdtempSync(path.join(work, 'path-'))
  symlinkSync(node, path.join(folder, 'node'))
  // By which package managers run a package's command.
  symlinkSync('/bin/sh', path.join(folder, 'sh'))
  return folder
}

/** Returns the first JavaScript of a section of the README. */
function snippet(section) {
  const [, text] = readFileSync(path.join(ROOT, 'README.md'), 'utf8').split(`\n## ${section}\n`)
  return /^```js\n([^]*?)^```$/m.exec(text)[1]
}

/** A folder with a package.json that asks for this package, and an environment in which its package manager keeps all it has in a home of its own. */
class Project {
  constructor({ command, files, install, without, node = process.execPath, script = (file) => [file] }, registry) {
    Object.assign(this, { command, install, without, node, script, home: mkdtempSync(path.join(work, 'home-')), files: files(registry) })
    this.env = { PATH: nodeAlone(node), HOME: this.home, XDG_CACHE_HOME: path.join(this.home, 'cache'), XDG_DATA_HOME: path.join(this.home, 'data') }
    this.empty()
  }

  /** Begins with an empty folder; the package manager's cache stays. */
  empty() {
    this.folder = mkdtempSync(path.join(work, 'project-'))
    this.write('package.json', JSON.stringify({ name: 'project', private: true, dependencies: { 'speaker-session': version } }))
    for (const [name, text] of Object.entries(this.files)) this.write(name, text)
    for (const name of ['music.flac', 'welcome.mp3']) cpSync(path.join(ROOT, 'examples', 'audio', name), path.join(this.folder, name))
  }

  write(name, text) {
    writeFileSync(path.join(this.folder, name), text)
  }

  async manage(args) {
    return run([...this.command, ...args], this.folder, this.env)
  }

  /** Runs a script. */
  async execute(name, text) {
    this.write(name, text)
    return run([this.node, ...this.script(name)], this.folder, this.env)
  }
}

/** Checks what the quick start printed and wrote. */
function checkQuickStart(output, { folder }) {
  for (const id of ['playback-1', 'playback-2']) assert.match(output, new RegExp(`^${id} is heard from \\d`, 'm'))
  assert.match(output, /requestId: ['"]playback-1['"],[^]*outcome: ['"]stopped['"],[^]*reason: ['"]user['"]/)
  assert.ok(statSync(path.join(folder, 'mix.wav')).size > 48_000, 'mix.wav has sound')
  rmSync(path.join(folder, 'mix.wav'))
}

/** Returns the paths of the tarballs that were asked for, and forgets all that was. */
function downloads({ asked }) {
  return asked.splice(0).filter((url) => url.endsWith('.tgz')).map((url) => url.slice(1).split('/-/')[0]).sort()
}

/** The checks of one package manager, in order: what is checked, and how; a text that is returned is printed. */
function* checks(manager, { registry, sounds, server }) {
  const project = new Project(manager, registry.url)
  const quickStart = snippet('Quick start').replaceAll('https://example.com', sounds)
  const asModule = quickStart.replace(/^const (\{.*\}) = require\('(.*)'\).*$/m, "import $1 from '$2'")

  yield ['installs the package of this platform alone', async () => {
    downloads(registry)
    await project.manage(project.install)
    const downloaded = downloads(registry)
    if (!manager.downloadsAll) assert.deepEqual(downloaded, [packageName(HERE), 'speaker-session'])
    const scope = path.join(project.folder, 'node_modules', '@speaker-session')
    // One that downloads all does not know `libc` either.
    const fits = (name) => name === HERE || (manager.downloadsAll && name.replace(/musl$/, 'gnu') === HERE)
    if (existsSync(scope)) assert.deepEqual(readdirSync(scope).filter((name) => !fits(name)), [])
    return `${downloaded.length} downloads`
  }]
  yield ['installs again without a download', async () => {
    project.empty()
    const from = performance.now()
    await project.manage(project.install)
    assert.deepEqual(downloads(registry), [])
    return `${((performance.now() - from) / 1000).toFixed(1)} s`
  }]
  yield ['plays the quick start', async () => checkQuickStart(await project.execute('start.cjs', `(async () => {\n${quickStart}\n})()`), project)]
  yield ['plays it as a module', async () => checkQuickStart(await project.execute('start.mjs', asModule), project)]
  if (!manager.script) {
    yield ['plays it as TypeScript', async () => {
      const node = path.join(ROOT, 'node_modules')
      project.write('typed.mts', asModule)
      await run([process.execPath, path.join(node, 'typescript', 'bin', 'tsc'), '--strict', '--target', 'es2022', '--module', 'nodenext', '--typeRoots', path.join(node, '@types'),
        '--types', 'node', 'typed.mts'], project.folder, project.env)
      checkQuickStart(await run([project.node, 'typed.mjs'], project.folder, project.env), project)
    }]
  }
  if (manager.runtime) yield ['plays it by its own runtime', async () => checkQuickStart(await run([...manager.command, 'start.mjs'], project.folder, project.env), project)]
  yield ['plays into a room', async () => {
    const ends = []
    const room = roomOn({ after: (end) => ends.push(end) }, server)
    try {
      const ear = await room.join()
      const text = snippet('LiveKit').replaceAll('https://example.com', sounds).replace('wss://example.livekit.cloud', server.url)
      const token = await room.token('speaker')
      await project.execute('room.mjs', `import { SpeakerSession } from 'speaker-session'\nconst token = '${token}'\n${text}\nawait session.close()\n`)
      const heard = (ear.heard.get('speaker') ?? []).reduce((loudest, sample) => Math.max(loudest, Math.abs(sample)), 0)
      assert.ok(heard > AUDIBLE, `heard at most ${heard}`)
    } finally {
      for (const end of ends) await end()
    }
  }]
  if (!manager.words) return
  const load = "console.log(require('speaker-session').SpeakerSession.processStats().sessions)"
  const wrong = [
    ['optional dependencies were left out', manager.without, 'Optional dependencies were left out: ', () => {}],
    ['another platform was installed', manager.elsewhere, ' is: node_modules was installed on another platform', () => rmSync(path.join(project.folder, 'node_modules'), { recursive: true })]
  ]
  for (const [what, args, reason, prepare] of wrong.filter(([, args]) => args)) {
    yield [`says what helps where ${what}`, async () => {
      project.empty()
      await project.manage([...project.install, ...args])
      project.write('load.cjs', load)
      const { code, output } = await attempt([project.node, 'load.cjs'], project.folder, project.env)
      assert.notEqual(code, 0)
      assert.ok(output.includes(`the package ${packageName(HERE)}@${version} is not installed`) && output.includes(reason), output)
      const [install, build] = [...output.matchAll(/`([^`]+)` in \S+\./g)].map(([, command]) => command.split(' '))
      const program = ([word, ...rest]) => [...manager.words[word], ...rest]
      assert.match((await attempt(program(build), project.folder, project.env)).output, /cargo was not found/)
      prepare()
      await run(program(install), project.folder, project.env)
      assert.equal(await project.execute('load.cjs', load), '0\n')
      return install.join(' ')
    }]
  }
}

async function main() {
  const { main, ours, all } = packAll()
  const megabytes = (size) => `${(size / 1e6).toFixed(1)} MB`
  let failed = 0
  const report = (what, error, note = '') => {
    console.log(`${error ? 'WRONG' : 'ok   '} ${what}${note && `: ${note}`}${error ? `\n${error.message}` : ''}`)
    if (error) failed++
  }
  for (const { described: { name }, tarball: { length } } of [main, ours]) {
    report(`${name}: ${megabytes(length)} packed`, length > MOST_BYTES && new Error(`Expected at most ${megabytes(MOST_BYTES)}`))
  }

  const [registry, server] = [await openRegistry(all), await startServer()]
  const sound = readFileSync(path.join(ROOT, 'examples', 'audio', 'welcome.mp3'))
  const http = createServer((request, response) => response.end(sound)).listen(0, '127.0.0.1')
  await once(http, 'listening')
  try {
    for (const manager of MANAGERS.filter(({ name }) => name.includes(only))) {
      for (const [what, check] of checks(manager, { registry, server, sounds: `http://127.0.0.1:${http.address().port}` })) {
        try {
          report(`${manager.name}: ${what}`, undefined, await check())
        } catch (error) {
          report(`${manager.name}: ${what}`, error)
        }
      }
    }
  } finally {
    http.close()
    http.closeAllConnections()
    await Promise.all([registry.close(), server.stop()])
  }
  console.log(failed > 0 ? `${failed} wrong` : 'all as it must be')
  process.exitCode = failed > 0 ? 1 : 0
}

main().catch((error) => {
  console.error(`speaker-session: ${error.message}`)
  process.exitCode = 1
}).finally(() => process.exit()) // LiveKit's client holds the process
