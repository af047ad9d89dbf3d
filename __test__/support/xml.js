'use strict'

// Parses our own XML, and HTML in XML form: every tag is closed except HTML's void elements, and texts contain no reserved characters.
// Throws if that is not so.

const VOID = ['meta']
const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" }
/** The elements whose content is not markup. */
const RAW = ['style', 'script']

/** Returns the root: `{ name, attributes, children, parent, text }`, where `text` is all text in it. */
function parse(source) {
  const root = element('', {}, undefined)
  let [at, here] = [0, root]
  for (const { 0: tag, index } of source.matchAll(/<!doctype html>|<\/?[a-zA-Z][^<>]*>/g)) {
    if (RAW.includes(here.name) && tag !== `</${here.name}>`) continue
    if (RAW.includes(here.name)) at = index
    addText(here, source.slice(at, index))
    at = index + tag.length
    if (tag.startsWith('<!')) continue
    if (tag.startsWith('</')) {
      if (tag !== `</${here.name}>`) throw new Error(`${tag} ends <${here.name}>`)
      here = here.parent
      continue
    }
    const child = element(/^<([a-zA-Z0-9]+)/.exec(tag)[1], attributesOf(tag), here)
    here.children.push(child)
    if (!tag.endsWith('/>') && !VOID.includes(child.name)) here = child
  }
  addText(here, source.slice(at))
  if (here !== root) throw new Error(`<${here.name}> has no end`)
  return root
}

function element(name, attributes, parent) {
  return { name, attributes, children: [], parent, text: '' }
}

function addText(here, raw) {
  const text = decode(raw)
  for (let each = here; each; each = each.parent) each.text += text
}

function attributesOf(tag) {
  const inside = tag.replace(/^<[a-zA-Z0-9]+/, '').replace(/\/?>$/, '')
  const attributes = {}
  const rest = inside.replace(/\s+([a-zA-Z-]+)(?:="([^"]*)")?/g, (_, name, value = '') => {
    if (name in attributes) throw new Error(`${name} twice in ${tag}`)
    attributes[name] = decode(value)
    return ''
  })
  if (rest.trim() !== '') throw new Error(`${rest} in ${tag}`)
  return attributes
}

function decode(raw) {
  if (/[<>]/.test(raw)) throw new Error(`${raw} is no text`)
  return raw.replace(/&([^;]*;)?/g, (entity, name) => {
    const character = ENTITIES[name?.slice(0, -1)]
    if (character === undefined) throw new Error(`${entity} is no entity`)
    return character
  })
}

/** Returns an element and its descendants, in order. */
function elements(root) {
  return [root, ...root.children.flatMap(elements)]
}

module.exports = { elements, parse }
