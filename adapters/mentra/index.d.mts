import { SpeakerManager } from './index.js'

export * from './index.js'
export default SpeakerManager
