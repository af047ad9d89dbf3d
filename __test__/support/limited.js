'use strict'

// A process under a limit of the system: small files, as on a full disk, or little memory.

const { execFile } = require('node:child_process')

/** Runs Node with `args` in `cwd` under a limit of the shell (`-f 80`: files of 40 KiB, `-v 3000000`: 3 GB of addresses). */
function runLimited(limit, args, cwd) {
  const command = ['-c', `ulimit ${limit} && exec "$0" "$@"`, process.execPath, ...args]
  return new Promise((resolve) => {
    execFile('sh', command, { cwd, timeout: 30_000, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
      resolve({ exitCode: error ? error.code : 0, stdout, stderr })
    })
  })
}

module.exports = { runLimited }
