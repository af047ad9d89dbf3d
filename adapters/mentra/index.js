'use strict'

// Replacements of MentraOS cloud's SpeakerManager and LiveKitGrpcClient; see docs/mentra.md.

const { LiveKitGrpcClient } = require('./livekit-grpc-client')
const { SpeakerManager } = require('./speaker-manager')

// So that `import SpeakerManager from` gets the default export in CommonJS that was compiled from TypeScript.
Object.defineProperty(exports, '__esModule', { value: true })
exports.SpeakerManager = SpeakerManager
exports.LiveKitGrpcClient = LiveKitGrpcClient
exports.default = SpeakerManager
