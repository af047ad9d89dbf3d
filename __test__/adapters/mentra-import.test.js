'use strict'

// The changed lines of the cloud, compiled as the cloud is: to CommonJS, with esModuleInterop and the classic module resolution.

const assert = require('node:assert/strict')
const { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test } = require('node:test')

const ts = require('typescript')

const root = path.join(__dirname, '..', '..')

const CLOUD = `
import SpeakerManager from 'speaker-session/mentra'
import { LiveKitGrpcClient, SpeakerManager as Named } from 'speaker-session/mentra'

class UserSession {
  readonly userId = 'user'
  readonly speakerManager: SpeakerManager = new SpeakerManager(this)
  readonly bridgeClient: LiveKitGrpcClient = new LiveKitGrpcClient(this)
  readonly audioManager = { processAudioData(audio: ArrayBuffer | any) {} }
}

export const session = new UserSession()
export const isOne: boolean = SpeakerManager === Named
`

test('the cloud compiles and runs with the changed lines', (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'speaker-session-'))
  t.after(() => rmSync(folder, { recursive: true }))
  mkdirSync(path.join(folder, 'node_modules'))
  symlinkSync(root, path.join(folder, 'node_modules', 'speaker-session'))
  const file = path.join(folder, 'cloud.ts')
  writeFileSync(file, CLOUD)
  const program = ts.createProgram([file], {
    target: ts.ScriptTarget.ES2020, module: ts.ModuleKind.CommonJS, moduleResolution: ts.ModuleResolutionKind.Node10, esModuleInterop: true,
    strict: true, lib: ['lib.es2022.d.ts', 'lib.esnext.disposable.d.ts'], types: []
  })
  const { diagnostics } = program.emit()
  const complaints = [...ts.getPreEmitDiagnostics(program), ...diagnostics].map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '))
  assert.deepEqual(complaints, [])
  const { session, isOne } = require(path.join(folder, 'cloud.js'))
  assert.equal(isOne, true)
  assert.deepEqual([typeof session.speakerManager.start, typeof session.bridgeClient.connect], ['function', 'function'])
})

test('ES modules can import its names', async () => {
  const { SpeakerManager, LiveKitGrpcClient } = await import('speaker-session/mentra')
  assert.deepEqual([typeof SpeakerManager, typeof LiveKitGrpcClient], ['function', 'function'])
})
