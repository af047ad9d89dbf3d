'use strict'

// The code in the documentation: where it stands, and how it is compiled.

const { readFileSync, readdirSync } = require('node:fs')
const path = require('node:path')

const ts = require('typescript')

const root = path.join(__dirname, '..', '..')

/** The compiler options of a user's editor. */
const DECLARATIONS = [
  'index.d.ts', 'lib/replay/index.d.ts', 'lib/testing/index.d.ts',
  ...['livekit-agents', 'mentra', 'metrics', 'opentelemetry', 'websocket'].map((name) => `adapters/${name}/index.d.ts`)
]

/** Returns the snippets of README.md, CONTRIBUTING.md, docs/ and the examples of the declarations: `{ file, line, name, code }`. */
function snippets() {
  const pages = readdirSync(path.join(root, 'docs')).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)
  return [...['README.md', 'CONTRIBUTING.md', ...pages].flatMap(fenced), ...DECLARATIONS.flatMap(examples)]
}

/** Returns the JavaScript and TypeScript code blocks of a Markdown file. */
function fenced(file) {
  const text = readFileSync(path.join(root, file), 'utf8')
  return [...text.matchAll(/^```(?:js|ts)\n([^]*?)^```$/gm)].map(({ 1: code, index }, n) => snippet(file, text, index, n, code))
}

/** Returns the `@example`s of a declaration file. */
function examples(file) {
  const text = readFileSync(path.join(root, file), 'utf8')
  return [...text.matchAll(/^ *\* @example\n((?: *\* ?(?!@).*\n)+?)(?= *\*\/| *\* @)/gm)].map(({ 1: code, index }, n) => {
    return snippet(file, text, index, n, code.replace(/^ *\* ?/gm, ''))
  })
}

function snippet(file, text, index, n, code) {
  const line = text.slice(0, index).split('\n').length
  return { file, line, name: `${file} ${n + 1}`, code }
}

/** Returns a TypeScript module: calls of `require` become imports, so that they have types. */
function asModule(code) {
  return `${code
    .replace(/^const (\{[^}]*\}|\w+) = require\('([^']+)'\)/gm, (_, what, from) => `import ${what.replaceAll(': ', ' as ')} from '${from}'`)}\nexport {}\n`
}

/** Returns declarations, by type, of the names that a snippet does not declare itself; on one line, to keep line numbers. */
function declarations(code, names = {}) {
  const isOwn = (name) => new RegExp(`^(?:const|let|import|async function|function)\\b[^=(\\n]*\\b${name}\\b`, 'm').test(code)
  return Object.entries(names).filter(([name]) => !isOwn(name)).map(([name, type]) => `declare const ${name}: ${type}`).join('; ')
}

/**
 * Compiles snippets in strict mode with the extra options `more`; `context` declares what they use of their reader's code. Returns the
 * errors, each `README.md:12: …`.
 */
function compile(all, { shared, pages }, more = {}) {
  const config = ts.readConfigFile(path.join(root, '__test__', 'types', 'tsconfig.json'), ts.sys.readFile).config
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, path.join(root, '__test__', 'types'))
  Object.assign(options, { skipLibCheck: true, esModuleInterop: true, noEmit: true, strict: true, typeRoots: [path.join(root, 'node_modules', '@types')] })
  // In JavaScript a caught error has no type.
  options.useUnknownInCatchVariables = false
  Object.assign(options, more)
  // The types of @livekit/agents are complete only for `import`.
  options.paths = { 'speaker-session/livekit-agents': ['../../adapters/livekit-agents/index.d.mts'], ...options.paths }
  const files = new Map([[path.join(__dirname, 'context.d.ts'), shared]])
  for (const each of all) {
    files.set(path.join(__dirname, `${each.name.replace(/\W/g, '-')}.mts`), `${declarations(each.code, pages[each.file])}\n${asModule(each.code)}`)
  }
  const host = ts.createCompilerHost(options)
  const { readFile, fileExists, getSourceFile } = host
  host.readFile = (name) => files.get(name) ?? readFile(name)
  host.fileExists = (name) => files.has(name) || fileExists(name)
  host.getSourceFile = (name, version) => (files.has(name) ? ts.createSourceFile(name, files.get(name), version) : getSourceFile(name, version))
  const names = [...files.keys()]
  const program = ts.createProgram(names, options, host)
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const text = ts.flattenDiagnosticMessageText(messageText, '\n')
    if (!file) return text
    const { line } = file.getLineAndCharacterOfPosition(start)
    const each = all[names.indexOf(file.fileName) - 1]
    if (!each) return `${path.basename(file.fileName)}:${line + 1}: ${text}`
    return `${each.file}:${each.line + line}: ${text}`
  })
}

module.exports = { asModule, compile, root, snippets }
