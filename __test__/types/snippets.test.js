'use strict'

// What README.md and the pages of docs/ show compiles, strictly. Names that a piece does not make itself are the reader's own, and packages that
// are not installed here are of any type.

const assert = require('node:assert/strict')
const { readdirSync, readFileSync } = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const ts = require('typescript')

const ROOT = path.join(__dirname, '..', '..')
const FENCE = /^```(js|ts|javascript|typescript)\n(.*?)^```$/gms

/** What is no fault of a piece: names and packages of the reader's, parameters without types, and one name made twice to show two ways. */
const READERS_OWN = [2304, 2552, 2593, 2503, 18004, 2307, 7016, 7006, 7031, 7005, 7034, 2451, 2300, 2393]

const OPTIONS = {
  ...ts.convertCompilerOptionsFromJson(
    require('./tsconfig.json').compilerOptions, __dirname
  ).options,
  exactOptionalPropertyTypes: true,
  skipLibCheck: true,
  allowImportingTsExtensions: false
}

/** The pieces of code of a page, as modules of TypeScript by their names. */
function pieces(page) {
  const text = readFileSync(path.join(ROOT, page), 'utf8')
  return [...text.matchAll(FENCE)].map(({ 2: code, index }) => {
    const line = text.slice(0, index).split('\n').length
    const imported = code.replace(/^const (\{.*?\}) = require\('(.*?)'\)/gm, (_, names, from) => `import ${names.replace(/:/g, ' as')} from '${from}'`)
    return [path.join(__dirname, `${page.replace(/\W/g, '-')}-${line}.mts`), `${imported}\n${implied(imported, page)}export {}\n`]
  })
}

/** Names of this package that a piece has from one above it on its page. */
function implied(code, page) {
  const isMade = (name) => new RegExp(`(?:const|let|class|import) [^=;]*?\\b${name}\\b`).test(code)
  const names = ['SpeakerSession', 'SpeakerError', 'liveKitFromEnv'].filter((name) => !isMade(name))
  // On that page `session` is an AgentSession.
  const session = page.includes('livekit-agents') || /\bsession\b *[:=,)}]/.test(code) ? '' : `declare const session: import('speaker-session').SpeakerSession\n`
  return `${names.length > 0 ? `import { ${names.join(', ')} } from 'speaker-session'\n` : ''}${session}`
}

function complaints(files) {
  const host = ts.createCompilerHost(OPTIONS)
  const { getSourceFile, fileExists, readFile } = host
  host.fileExists = (name) => files.has(name) || fileExists.call(host, name)
  host.readFile = (name) => files.get(name) ?? readFile.call(host, name)
  host.getSourceFile = (name, ...rest) => {
    return files.has(name) ? ts.createSourceFile(name, files.get(name), OPTIONS.target) : getSourceFile.call(host, name, ...rest)
  }
  const program = ts.createProgram([...files.keys()], OPTIONS, host)
  return [...files.keys()].flatMap((name) => {
    const source = program.getSourceFile(name)
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]
      .filter(({ code }) => !READERS_OWN.includes(code))
      .map(({ code, start, messageText }) => {
        const text = ts.flattenDiagnosticMessageText(messageText, '\n')
        return `${path.basename(name)} line ${source.getLineAndCharacterOfPosition(start).line + 1}: TS${code} ${text}`
      })
  })
}

test('what the docs show compiles', () => {
  const pages = ['README.md', ...readdirSync(path.join(ROOT, 'docs')).filter((name) => name.endsWith('.md')).map((name) => path.join('docs', name))]
  const files = new Map(pages.flatMap(pieces))
  assert.ok(files.size > 40, `${files.size} pieces`)
  assert.deepEqual(complaints(files), [])
})

test('what does not compile is found', () => {
  const name = path.join(__dirname, 'wrong.mts')
  const wrong = `import { SpeakerSession } from 'speaker-session'\nconst output = { type: 'memory' }\nnew SpeakerSession({ output }).playAudio({ audioURL: unknown })\nexport {}\n`
  assert.deepEqual(complaints(new Map([[name, wrong]])).map((text) => text.split(' ')[3]), ['TS2322', 'TS2561', 'TS2693'])
})
