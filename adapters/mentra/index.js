'use strict'

// MentraOS cloud: what takes the place of its SpeakerManager and its LiveKitGrpcClient. docs/mentra.md says where.

const { LiveKitGrpcClient } = require('./livekit-grpc-client')
const { SpeakerManager } = require('./speaker-manager')

// So that `import SpeakerManager from` means the default in CommonJS that was made of TypeScript.
Object.defineProperty(exports, '__esModule', { value: true })
exports.SpeakerManager = SpeakerManager
exports.LiveKitGrpcClient = LiveKitGrpcClient
exports.default = SpeakerManager
