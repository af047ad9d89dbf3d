'use strict'

// `npm run package [-- --repository URL]`: makes the package as it is published, in npm/speaker-session: what package.json names, with the platforms'
// packages (scripts/prebuild.js) as optional dependencies of the same version. In the repository's own package.json those would break `npm ci`, since no lockfile
// can have packages that are not published yet (npm/cli#9846).

const { execFileSync } = require('node:child_process')
const { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } = require('node:fs')
const path = require('node:path')
const { parseArgs } = require('node:util')

const { PREBUILT, packageName } = require('../lib/platform')
const { packByNpm } = require('./pack')

const ROOT = path.join(__dirname, '..')
const FOLDER = path.join(ROOT, 'npm', 'speaker-session')
/** What only a copy of the repository can use. */
const OWN = ['scripts', 'devDependencies', 'overrides']

const { values: { repository } } = parseArgs({ options: { repository: { type: 'string' } } })

mkdirSync(path.dirname(FOLDER), { recursive: true })
rmSync(FOLDER, { recursive: true, force: true })
const draft = mkdtempSync(`${FOLDER}-`)
try {
  execFileSync('tar', ['-xzf', path.basename(packByNpm(ROOT, draft))], { cwd: draft })
  renameSync(path.join(draft, 'package'), FOLDER)
} finally {
  rmSync(draft, { recursive: true })
}

const file = path.join(FOLDER, 'package.json')
const described = JSON.parse(readFileSync(file, 'utf8'))
for (const name of OWN) delete described[name]
if (repository) described.repository = { type: 'git', url: repository }
described.optionalDependencies = Object.fromEntries(Object.keys(PREBUILT).map((platform) => [packageName(platform), described.version]))
writeFileSync(file, `${JSON.stringify(described, null, 2)}\n`)
console.log(path.relative(process.cwd(), FOLDER))
