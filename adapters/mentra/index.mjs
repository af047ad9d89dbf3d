// index.js for `import`, where a default export is another thing than in CommonJS.

import { LiveKitGrpcClient } from './livekit-grpc-client.js'
import { SpeakerManager } from './speaker-manager.js'

export { LiveKitGrpcClient, SpeakerManager, SpeakerManager as default }
