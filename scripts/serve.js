'use strict'

const { spawn } = require('node:child_process')

/** The interval at which a server is polled until it answers. */
const EVERY_MS = 50

/** The number of times that ports are drawn for one server. */
const ATTEMPTS = 5

/**
 * Starts a server program. Resolves with `{ exited, signal(name), stop() }` once it answers at `url`, or `isReady` resolves with true, which it must
 * do `withinMs`. `exited` resolves when it has ended, with `{ code, signal }`. It ends with this process.
 */
async function serve(name, program, args, { url, isReady = () => answers(url), withinMs, env }) {
  const server = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env })
  let log = ''
  for (const stream of [server.stdout, server.stderr]) stream.on('data', (data) => (log += data))
  const exited = new Promise((resolve) => server.once('close', (code, signal) => resolve({ code, signal })))
  const kill = () => server.kill('SIGKILL')
  process.once('exit', kill)
  const stop = async () => {
    kill()
    await exited
    process.off('exit', kill)
  }
  for (let askedMs = 0; askedMs < withinMs; askedMs += EVERY_MS) {
    if (server.exitCode !== null) {
      await stop() // the log is whole
      throw new Error(`${name} ended with code ${server.exitCode}\n${log}`)
    }
    if (await isReady()) return { exited, stop, signal: (name) => server.kill(name) }
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS))
  }
  await stop()
  throw new Error(`${name} did not answer within ${withinMs / 1000} s\n${log}`)
}

/** Returns a port below those that the system assigns to clients, so that none of them takes it before the server does. */
function randomPort() {
  return 20000 + Math.floor(Math.random() * 10000)
}

/** Resolves with what `start` does. It is called again, and has to take other ports, when it fails because one is in use. */
async function onFreePorts(start) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start()
    } catch (error) {
      if (attempt === ATTEMPTS || !/address already in use/i.test(error.message)) throw error
    }
  }
}

async function answers(url) {
  const answer = await fetch(url).catch(() => undefined)
  return answer?.ok === true
}

module.exports = { onFreePorts, randomPort, serve }
