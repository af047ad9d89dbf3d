'use strict'

// Keeps the secrets of downloads out of a recording, unless its session asks for them.

const MASK = '<masked>'

/** Returns a play request as it is recorded: without the values of headers and of the URL's query, and without the URL's user. */
function masked({ audioUrl, headers, ...request }) {
  const names = Object.keys(headers ?? {})
  return {
    ...request,
    audioUrl: isDownload(audioUrl) ? maskedUrl(new URL(audioUrl)) : audioUrl,
    headers: headers && Object.fromEntries(names.map((name) => [name, MASK]))
  }
}

function maskedUrl({ protocol, username, password, host, pathname, searchParams }) {
  const user = username || password ? `${MASK}@` : ''
  const query = [...searchParams.keys()].map((name) => `${encodeURIComponent(name)}=${MASK}`).join('&')
  return `${protocol}//${user}${host}${pathname}${query && `?${query}`}`
}

function isDownload(audioUrl) {
  return /^https?:/.test(audioUrl)
}

/** Returns true for a request that was recorded without its secrets. No other URL contains that mark. */
function isMasked({ audioUrl, headers }) {
  return (isDownload(audioUrl) && audioUrl.includes(MASK)) || Object.values(headers ?? {}).includes(MASK)
}

/** Returns a recorded request as it can be replayed: without the masked parts. */
function unmasked({ audioUrl, headers, ...request }) {
  const known = Object.entries(headers ?? {}).filter(([, value]) => value !== MASK)
  return {
    ...request,
    audioUrl: isDownload(audioUrl) ? unmaskedUrl(audioUrl) : audioUrl,
    headers: Object.fromEntries(known)
  }
}

function unmaskedUrl(audioUrl) {
  const url = new URL(audioUrl.replace(`//${MASK}@`, '//'))
  for (const [name, value] of [...url.searchParams]) if (value === MASK) url.searchParams.delete(name)
  return url.href
}

module.exports = { isMasked, masked, unmasked }
