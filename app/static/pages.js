// What pages do beyond showing: local times, theme, fresh figures, downloads of charts, and asking by hand.
// Pages read without it. No text from outside is ever parsed as markup here: textContent only.
'use strict'

const texts = document.body.dataset
const REFRESH_MS = 30_000
const JOB_MS = 2_000
const READ_MS = 4_000

function localTimes(root) {
  const spoken = document.documentElement.lang
  for (const one of root.querySelectorAll('time[datetime]')) {
    const at = new Date(one.dateTime)
    if (Number.isNaN(at.getTime())) continue
    const form = { year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' }
    if (one.closest('.heat thead, .ends')) delete form.year
    if ('seconds' in one.dataset) form.second = '2-digit'
    one.title ||= one.textContent
    one.textContent = new Intl.DateTimeFormat(spoken, form).format(at)
  }
}

// Theme: the system's, until somebody chooses.
function theme() {
  const root = document.documentElement
  const kept = localStorage.getItem('vigia-theme')
  if (kept) root.dataset.theme = kept
  const button = document.querySelector('[data-theme-switch]')
  if (!button) return
  button.hidden = false
  button.addEventListener('click', () => {
    const isDark = getComputedStyle(root).colorScheme === 'dark'
    root.dataset.theme = isDark ? 'light' : 'dark'
    localStorage.setItem('vigia-theme', root.dataset.theme)
  })
}

// Fresh figures: the same page again, and only what changed is put in, so nothing flickers.
async function refresh() {
  const live = [...document.querySelectorAll('[data-live]')]
  if (!live.length || document.hidden || live.some((one) => one.contains(document.activeElement) && document.activeElement.matches('input, select, textarea, summary'))) return
  try {
    const answer = await fetch(location.href, { headers: { Accept: 'text/html' } })
    if (!answer.ok || answer.redirected) throw new Error(answer.status)
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html')
    for (const one of live) put(one, fresh.getElementById(one.id))
    document.body.classList.remove('stale')
  } catch {
    document.body.classList.add('stale')
    document.getElementById('footer').textContent = texts.failed
  }
}

const shown = new Map()

function put(old, fresh) {
  if (!fresh || shown.get(old.id) === fresh.innerHTML) return
  shown.set(old.id, fresh.innerHTML)
  const open = new Set([...old.querySelectorAll('details')].flatMap((one, i) => (one.open ? [i] : [])))
  const places = [...old.querySelectorAll('.scroll')].map((one) => one.scrollLeft)
  old.replaceChildren(...document.importNode(fresh, true).childNodes)
  old.querySelectorAll('details').forEach((one, i) => { one.open = open.has(i) })
  old.querySelectorAll('.scroll').forEach((one, i) => { one.scrollLeft = places[i] ?? 0 })
  dress(old)
}

// Downloads: a chart's table as CSV, its drawing as PNG.
function exports(root) {
  for (const one of root.querySelectorAll('[data-export]')) {
    if (one.querySelector(':scope > .exports')) continue
    const row = document.createElement('div')
    row.className = 'exports'
    const table = one.querySelector('[data-table]') ?? one.querySelector('table')
    const svg = one.querySelector('svg.chart')
    if (table) row.append(button(texts.csv, () => save(csvOf(table), 'text/csv', `${one.dataset.export}.csv`)))
    if (svg) row.append(button(texts.png, () => pngOf(svg).then((blob) => saveBlob(blob, `${one.dataset.export}.png`))))
    if (row.childElementCount) one.append(row)
  }
}

function button(text, act) {
  const made = document.createElement('button')
  made.type = 'button'
  made.className = 'quiet'
  made.textContent = text
  made.addEventListener('click', act)
  return made
}

function csvOf(table) {
  const cell = (one) => {
    const at = one.querySelector('time')
    const text = (at ? at.dateTime : one.textContent).trim().replace(/\s+/g, ' ')
    const safe = /^[=+\-@]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text
    return `"${safe.replaceAll('"', '""')}"`
  }
  return [...table.rows].map((row) => [...row.cells].map(cell).join(',')).join('\r\n')
}

async function pngOf(svg) {
  const box = svg.getBoundingClientRect()
  const copy = svg.cloneNode(true)
  const names = ['fill', 'stroke', 'stroke-width', 'stroke-dasharray', 'stroke-linecap', 'stroke-linejoin', 'vector-effect']
  const drawn = svg.querySelectorAll('*')
  copy.querySelectorAll('*').forEach((one, i) => {
    const look = getComputedStyle(drawn[i])
    for (const name of names) one.setAttribute(name, look.getPropertyValue(name))
  })
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg')
  copy.setAttribute('width', box.width * 2)
  copy.setAttribute('height', box.height * 2)
  const image = new Image()
  image.src = `data:image/svg+xml,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`
  await image.decode()
  const canvas = document.createElement('canvas')
  canvas.width = box.width * 2
  canvas.height = box.height * 2
  const brush = canvas.getContext('2d')
  brush.fillStyle = getComputedStyle(document.body).backgroundColor
  brush.fillRect(0, 0, canvas.width, canvas.height)
  brush.drawImage(image, 0, 0)
  return new Promise((done) => canvas.toBlob(done, 'image/png'))
}

function save(text, type, name) {
  saveBlob(new Blob([`\ufeff${text}`], { type: `${type};charset=utf-8` }), name)
}

function saveBlob(blob, name) {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(blob)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 1_000)
}

// Another threshold: counted from groups of rows by their probability, so any number of rows is as quick.
function slide(input) {
  const place = input.closest('[data-thresholds]')
  const counts = JSON.parse(place.dataset.thresholds)
  const first = Math.round(Number(input.value) * (counts.positive.length - 1))
  const sum = (side, from) => counts[side].slice(from).reduce((total, n) => total + n, 0)
  const found = { n_right: sum('positive', first), n_wrong: sum('negative', first) }
  found.n_missed = sum('positive', 0) - found.n_right
  found.n_spared = sum('negative', 0) - found.n_wrong
  const share = (part, whole) => (whole ? percent(part / whole) : '–')
  const said = {
    threshold: figure(Number(input.value)),
    precision: share(found.n_right, found.n_right + found.n_wrong),
    recall: share(found.n_right, found.n_right + found.n_missed),
    f1: share(2 * found.n_right, 2 * found.n_right + found.n_wrong + found.n_missed),
    ...Object.fromEntries(Object.entries(found).map(([name, n]) => [name, figure(n)])),
  }
  for (const one of place.querySelectorAll('[data-said]')) one.textContent = said[one.dataset.said]
  input.ariaValueText = `${said.threshold}: precision ${said.precision}, recall ${said.recall}`
  const line = place.querySelector('.line.chosen')
  line.setAttribute('d', line.getAttribute('d').replace(/^M[\d.]+/, `M${600 * Number(input.value)}`))
  const address = new URL(location.href)
  address.searchParams.set('threshold', input.value)
  history.replaceState(null, '', address)
}

function slides() {
  document.body.classList.add('scripted')
  document.addEventListener('input', (event) => {
    if (event.target.matches('[data-thresholds] input[type="range"]')) slide(event.target)
  })
}

// A training that was just begun: how far it is, and how it ended.
function follow() {
  const told = document.querySelector('[data-job]')
  if (!told) return
  const look = async () => {
    const answer = await fetch(told.dataset.job, { headers: { Accept: 'application/json' } })
    if (!answer.ok) return
    const job = await answer.json()
    told.querySelector('[data-progress]').textContent = job.text
    const isOver = job.state === 'finished' || job.state === 'failed'
    setTimeout(isOver ? () => { location.href = location.pathname } : look, isOver ? READ_MS : JOB_MS)
  }
  look()
}

// Asking by hand.
function tryout() {
  const place = document.querySelector('[data-try]')
  if (!place) return
  const form = place.querySelector('[data-try-form]')
  const text = place.querySelector('[data-try-text]')
  const file = place.querySelector('[data-try-file]')
  const told = () => showCurl(place, JSON.stringify(rowOf(form)))
  form.addEventListener('input', told)
  form.addEventListener('submit', (event) => { event.preventDefault(); ask(place, JSON.stringify(rowOf(form)), 'application/json', '?explain=true') })
  text.addEventListener('submit', (event) => { event.preventDefault(); askText(place, text.querySelector('textarea').value) })
  const choose = file.querySelector('input')
  choose.addEventListener('change', async () => { if (choose.files[0]) askText(place, await choose.files[0].text(), true) })
  for (const name of ['dragover', 'dragleave', 'drop']) {
    file.addEventListener(name, async (event) => {
      event.preventDefault()
      file.classList.toggle('over', name === 'dragover')
      if (name === 'drop' && event.dataTransfer.files[0]) askText(place, await event.dataTransfer.files[0].text(), true)
    })
  }
  const copy = place.querySelector('[data-copy]')
  copy.hidden = !navigator.clipboard
  copy.addEventListener('click', async () => {
    await navigator.clipboard.writeText(place.querySelector('[data-curl]').textContent)
    copy.textContent = texts.copied
  })
  told()
}

function rowOf(form) {
  const row = {}
  for (const one of form.querySelectorAll('[data-name]')) {
    const value = one.value.trim()
    const { name, type } = one.dataset
    if (value === '') row[name] = null
    else if (type === 'boolean') row[name] = value === 'true'
    else if (type === 'number' || type === 'integer') row[name] = Number.isNaN(Number(value)) ? value : Number(value)
    else row[name] = value
  }
  return row
}

function askText(place, text, isCsv = !/^\s*[[{]/.test(text)) {
  if (text.trim()) ask(place, text, isCsv ? 'text/csv' : 'application/json')
  else tell(place, texts.empty ?? place.dataset.empty)
}

function showCurl(place, body) {
  const key = place.dataset.key ? " -H 'X-API-Key: …'" : ''
  const quoted = body.replaceAll("'", "'\\''")
  place.querySelector('[data-curl]').textContent = `curl ${place.dataset.root}${place.dataset.try}${key} -H 'Content-Type: application/json' -d '${quoted}'`
}

async function ask(place, body, type, more = '') {
  for (const one of place.querySelectorAll('[data-fault]')) one.textContent = ''
  if (type === 'application/json') showCurl(place, body)
  try {
    const headers = { 'Content-Type': type, 'X-CSRF-Token': place.dataset.token }
    const answer = await fetch(place.dataset.try + more, { method: 'POST', headers, body })
    const found = await answer.json()
    await say(place, found)
    if (answer.ok) showAnswers(place, found)
    else showProblem(place, found)
  } catch {
    tell(place, texts.failed)
  }
}

// Answers of the API are English; what they say is put into the language of the page.
async function say(place, found) {
  if (document.documentElement.lang === 'en') return
  const told = [found, ...(found.errors ?? []), ...(found.predictions ?? []).flatMap((one) => one.warnings)].filter((one) => one.detail)
  const body = JSON.stringify(told.map((one) => one.detail))
  const headers = { 'Content-Type': 'application/json', 'X-CSRF-Token': place.dataset.token }
  const answer = await fetch(place.dataset.said, { method: 'POST', headers, body })
  if (!answer.ok) return
  for (const [i, text] of (await answer.json()).entries()) told[i].detail = text
}

function tell(place, text) {
  place.querySelector('[data-result]').replaceChildren(element('p', text, 'fault'))
}

function showProblem(place, problem) {
  const list = document.createElement('ul')
  for (const fault of problem.errors ?? []) {
    const name = decodeURIComponent(fault.pointer.split('/').pop()).replaceAll('~1', '/').replaceAll('~0', '~')
    const beside = [...place.querySelectorAll('[data-fault]')].find((one) => one.dataset.fault === name)
    if (beside) beside.textContent = fault.detail
    list.append(element('li', `${name}: ${fault.detail}`))
  }
  place.querySelector('[data-result]').replaceChildren(element('p', problem.detail, 'fault'), list)
}

function showAnswers(place, found) {
  const target = place.querySelector('[data-result]')
  if (found.predictions.length === 1) {
    target.replaceChildren(...oneAnswer(place, found.predictions[0]))
    return
  }
  const table = document.createElement('table')
  const head = table.createTHead().insertRow()
  for (const name of ['#', place.dataset.prediction, place.dataset.probability, place.dataset.warnings]) head.append(element('th', name))
  const body = table.createTBody()
  found.predictions.slice(0, 500).forEach((one, i) => {
    const row = body.insertRow()
    const number = document.createElement('td')
    number.append(linkTo(place, one, String(i + 1)))
    const cells = [one.class ?? figure(one.prediction), one.probability === undefined ? '' : percent(one.probability), one.warnings.map(oddity).join('; ')]
    row.append(number, ...cells.map((cell) => element('td', cell)))
  })
  const region = document.createElement('div')
  region.className = 'scroll'
  region.tabIndex = 0
  region.append(table)
  target.replaceChildren(region)
}

function oneAnswer(place, one) {
  const parts = [element('span', String(one.class ?? figure(one.prediction)), 'large')]
  for (const [name, share] of Object.entries(one.probabilities ?? {})) {
    const line = document.createElement('p')
    const meter = document.createElement('meter')
    meter.max = 1
    meter.value = share
    meter.setAttribute('aria-label', name)
    line.append(meter, ` ${name} ${percent(share)}`)
    parts.push(line)
  }
  if (one.interval) parts.push(element('p', `${place.dataset.interval}: ${figure(one.interval.low)} … ${figure(one.interval.high)}`))
  if (one.explanation) parts.push(...whyOf(place, one.explanation))
  for (const warning of one.warnings) parts.push(element('p', `⚠ ${oddity(warning)}`))
  const last = document.createElement('p')
  last.append(linkTo(place, one, place.dataset.open))
  return [...parts, last]
}

function whyOf(place, told) {
  const found = Object.entries(told.contributions).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1])).slice(0, 8)
  const table = document.createElement('table')
  for (const [name, value] of found) {
    const row = table.insertRow()
    const meter = document.createElement('meter')
    meter.max = Math.abs(found[0][1]) || 1
    meter.value = Math.abs(value)
    meter.setAttribute('aria-label', name)
    const cell = row.insertCell()
    cell.append(meter)
    row.prepend(element('th', name))
    row.append(element('td', `${value > 0 ? '▲ +' : '▼ '}${figure(value)}`, 'n'))
  }
  const scale = place.dataset[told.scale].replace('{base}', figure(told.base)).replace('{score}', figure(told.score))
  return [element('h3', place.dataset.why), element('p', scale, 'caption'), table]
}

function linkTo(place, one, text) {
  const link = element('a', text)
  link.href = `${place.dataset.log}/${encodeURIComponent(one.prediction_id)}`
  return link
}

function element(name, text, look) {
  const made = document.createElement(name)
  made.textContent = text
  if (look) made.className = look
  return made
}

const oddity = (warning) => (warning.feature ? `${warning.feature}: ${warning.detail}` : String(warning.detail ?? warning))
const figure = (value) => (typeof value === 'number' ? new Intl.NumberFormat(document.documentElement.lang, { maximumSignificantDigits: 6 }).format(value) : String(value))
const percent = (share) => new Intl.NumberFormat(document.documentElement.lang, { style: 'percent', maximumFractionDigits: 1 }).format(share)

// Times typed into forms go out as UTC; what a form leaves empty is left out of the address.
function tidyForms() {
  for (const form of document.querySelectorAll('form[method="get"]')) {
    form.addEventListener('submit', () => {
      for (const one of form.elements) if (one.name && one.value === '') one.disabled = true
      setTimeout(() => { for (const one of form.elements) one.disabled = false })
    })
  }
  for (const form of document.querySelectorAll('form[method="post"]')) {
    form.addEventListener('submit', () => form.querySelector('button')?.setAttribute('aria-busy', 'true'))
  }
}

function dress(root) {
  localTimes(root)
  exports(root)
}

theme()
for (const one of document.querySelectorAll('[data-live]')) shown.set(one.id, one.innerHTML)
dress(document)
tidyForms()
follow()
slides()
tryout()
setInterval(refresh, REFRESH_MS)
document.addEventListener('visibilitychange', () => { if (!document.hidden) refresh() })
