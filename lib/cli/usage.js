'use strict'

const USAGE = `Plays audio from files and URLs on the sound card, into a WAV file or a LiveKit room: mixes what overlaps, stops what is interrupted.

Usage:
  speaker-session play FILE|URL… [options]        plays them all, from the start on
  speaker-session replay LOG…      [options]      plays and stops what files of requests ask for, at their times: one user's
                                                  into a WAV file or a room; many users' each by themselves, and says what
                                                  each heard. Of a folder its files that end in .jsonl
  speaker-session probe FILE|URL… [--loudness] [--json]
                                                  says what each is: container, codec, length and tags; with --loudness
                                                  how loud, too, for which all of it is decoded
  speaker-session build                           builds the addon from source, for a platform without a prebuilt one: needs Rust,
                                                  cmake and a C compiler, and takes minutes
  speaker-session help
  - is standard input as a file, URL or log, and as --out standard output, where then nothing else is written

Options:
  --out FILE       the WAV file that is written; it must not exist, and is not made if nothing is played. Default: play plays on the
                   sound card if there is one and a program for it, and else writes mix.wav, as replay does
  --device NAME    on the sound card, in real time: default, or a device of aplay (\`aplay -L\`). By aplay, ffplay or afplay
  --force          replaces the WAV file if there is one, once the new one is whole, the report and the timeline
  --livekit        into a new LiveKit room instead, in real time, and says what was heard there on each track: at
                   LIVEKIT_URL (with LIVEKIT_API_KEY, LIVEKIT_API_SECRET) if that is set, or else on a server that
                   is started for it: livekit-server from the PATH; needs the packages @livekit/rtc-node and livekit-server-sdk
  --user NAME      only this user of the log; may be given several times
  --report FILE    what each user heard, as JSON; without --out no WAV file is written then
  --timeline FILE  a picture of what happened, .svg, or .html with the sound in it: a lane for each playback with its volume, fades and
                   waits, what was asked for, and the mix; without --out no WAV file is written then
  --overlap HOW    what happens to sounds on one track that don't stop the others:
                   mix (default), queue (one after the other) or replace (the last one wins)
  --stereo         two channels (default: one)
  --realtime       in real time (default: as fast as possible, with the same result each time)
  --json           one event a line on stdout, as JSON, failures on stderr too; a request whose requestId is live already
                   is no event of the session's but one of type refused, without a seq, and so is what was
                   heard in a room, of type heard; with many users each says whose it is (user)
  --loudness       of probe: measures how loud it is (EBU R 128)
  --help, --version

Requests are one JSON object a line, in order of time; # and // start a comment. Any of:
  {"atMs":0,"type":"play","requestId":"music","audioUrl":"music.mp3","volume":0.5,"stopOther":false}
  {"atMs":900,"type":"stop","requestId":"music","reason":"user","fadeOutMs":50}
  {"atMs":950,"type":"pause","trackId":1} and "resume", likewise
  {"atMs":980,"type":"seek","requestId":"music","positionMs":60000}
  {"atMs":990,"type":"volume","requestId":"music","volume":0.2,"fadeMs":300}
  {"atMs":0,"type":"stream","requestId":"tts","format":"pcm16","sampleRate":24000}, and then of this stream
  {"atMs":40,"type":"write","requestId":"tts","audio":"…"} in base64, "flush" and "end" (also without one)
  {"type":"session","overlap":"queue",…} in the first line only: the session's options; the command line's win
  any of them with "user", "userId", "session" or "sessionId": whose it is. If a file has several, every line needs one
  {"type":"audio_play_request",…} and {"type":"audio_stop_request",…}, as the cloud sends them
  {"action":"play_url",…} and {"action":"stop_playback",…}, as the bridge is sent them
A play request may have its audio itself, in base64, in place of audioUrl.
Their time is atMs, or else what passed since the first timestamp, or else that of the user's line above.
Paths are relative to the file of requests.

Exit code:
  0    everything was played to its end or stopped as asked
  1    something could not be played, a file not be written or the room not be joined, or nothing was
       heard of something that was played to its end at a volume over 0
  2    the arguments or a line of requests are wrong, or a file to be written exists; nothing was played
  130  interrupted (SIGINT); the WAV file and the report hold what was played till then
  143  terminated (SIGTERM); likewise
`

module.exports = { USAGE }
