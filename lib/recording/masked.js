'use strict'

// Secrets of a download do not stand in a recording, unless its session was told so.

const MASK = '<masked>'

/** Returns the request to play `url` as it is recorded: without the values of headers and of the query, and without the user. */
function masked({ headers, ...request }, url) {
  const { protocol, username, password, host, pathname, searchParams } = new URL(url)
  const user = username || password ? `${MASK}@` : ''
  const query = [...searchParams.keys()].map((name) => `${encodeURIComponent(name)}=${MASK}`).join('&')
  return {
    ...request,
    audioUrl: `${protocol}//${user}${host}${pathname}${query && `?${query}`}`,
    ...(headers && { headers: Object.fromEntries(Object.keys(headers).map((name) => [name, MASK])) })
  }
}

/** Returns a recorded request as it can be replayed: without what was masked. */
function unmasked({ audioUrl, headers, ...request }) {
  if (!isMasked({ audioUrl, headers })) return { ...request, audioUrl, headers }
  const url = new URL(audioUrl.replace(`//${MASK}@`, '//'))
  for (const [name, value] of [...url.searchParams]) if (value === MASK) url.searchParams.delete(name)
  const known = Object.entries(headers ?? {}).filter(([, value]) => value !== MASK)
  return { ...request, audioUrl: url.href, headers: Object.fromEntries(known) }
}

/** Returns true for a request that was recorded without its secrets. */
function isMasked({ audioUrl, headers }) {
  // No URL has this sign but in a recording.
  return (typeof audioUrl === 'string' && /^https?:.*<masked>/.test(audioUrl)) || Object.values(headers ?? {}).includes(MASK)
}

module.exports = { isMasked, masked, unmasked }
