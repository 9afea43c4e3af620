import { createSignal, createUniqueId, For, onCleanup, onMount, Show } from 'solid-js'
import { keyKindOf } from '../../db/model/ids.ts'
import { listModels } from '../data.ts'
import { createRun, type Run } from '../run.ts'
import { Arrival } from '../ui/arrival.tsx'
import { Badge } from '../ui/badge.tsx'
import { Brand } from '../ui/brand.tsx'
import { Button } from '../ui/button.tsx'
import { CodeTabs } from '../ui/code.tsx'
import { CopyButton } from '../ui/copy.tsx'
import { Empty } from '../ui/empty.tsx'
import { Facts } from '../ui/facts.tsx'
import { Failure } from '../ui/failure.tsx'
import { Field } from '../ui/field.tsx'
import { formatCount, formatUsd } from '../ui/format.ts'
import { Icon } from '../ui/icon.tsx'
import type { LineStop } from '../ui/line.tsx'
import { Receipt } from '../ui/receipt.tsx'
import { SecretInput } from '../ui/secret-input.tsx'
import { type Language, snippetsOf } from '../ui/snippets.ts'
import { Step, type StepState, Steps } from '../ui/steps.tsx'
import { ThemeSwitch } from '../ui/theme-switch.tsx'
import styles from './welcome.module.css'

const BASE_URL = `${location.origin}/v1`
const KEY_STORED = 'watchllm.key'
const NO_KEY = 'lgw_test_…'
const RUN_KEYS = /Mac|iPhone|iPad/.test(navigator.platform) ? '⌘↵' : 'Ctrl ↵'

/** The key of this tab's earlier visits: it never outlives the tab. */
function storedKey(): string {
  try {
    return sessionStorage.getItem(KEY_STORED) ?? ''
  } catch {
    return ''
  }
}

function storeKey(key: string): void {
  try {
    if (key === '') sessionStorage.removeItem(KEY_STORED)
    else sessionStorage.setItem(KEY_STORED, key)
  } catch {
    // Storage may be forbidden: the key then lives as long as the page
  }
}

/** The key in a pasted text, which may be the whole line that the terminal printed. */
function keyIn(text: string): string {
  return /lgw_(?:proj|test)_[A-Za-z0-9_-]{16,128}/.exec(text)?.[0] ?? text.trim()
}

function keyError(key: string): string | undefined {
  if (keyKindOf(key) !== null) return undefined
  if (key === '') return 'Paste a key first: the server printed one in its terminal at the first start.'
  if (key.startsWith('sk-'))
    return 'This looks like a provider’s key. A key of WatchLLM starts with lgw_test_ or lgw_proj_.'
  return 'This is not a whole key. One starts with lgw_test_ or lgw_proj_ and has at least 16 characters after that.'
}

/** The stops of the call, as this page saw them; once it has ended, those it never came by are left out. */
function stopsOf(run: Run): LineStop[] {
  const hasReceipt = run.facts?.requestId != null && run.receiptFailure === null
  const isBroken = run.state === 'failed' || run.state === 'stopped'
  const stops = [
    { name: 'Sent', atMs: 0 },
    { name: 'First byte', atMs: run.headMs },
    { name: 'First word', atMs: run.textMs },
    { name: isBroken ? 'End' : 'Last byte', atMs: run.endMs, failed: run.state === 'failed' },
  ]
  const passed = run.endMs === null ? stops : stops.filter((stop) => stop.atMs !== null)
  return run.endMs === null || hasReceipt ? [...passed, { name: 'Receipt', atMs: run.receiptMs }] : passed
}

/** What is known of the call beside its text: facts, request id, receipt. */
function Known(props: { run: Run }) {
  const facts = () => props.run.facts
  const cost = () => {
    const usd = facts()?.costUsd ?? props.run.receipt?.costUsd ?? null
    if (props.run.free && (usd === null || Number(usd) === 0)) return 'free'
    return usd === null ? null : formatUsd(usd)
  }
  const tokens = () => {
    const { inputTokens, outputTokens } = facts() ?? { inputTokens: null, outputTokens: null }
    return inputTokens === null ? null : `${formatCount(inputTokens)} in, ${formatCount(outputTokens ?? 0)} out`
  }
  return (
    <Show when={facts()}>
      {(known) => (
        <>
          <Facts
            facts={[
              ['Status', props.run.status],
              ['Tokens', tokens()],
              ['Cost', props.run.endMs === null ? null : cost()],
              ['Provider', known().provider],
              ['Model', known().model],
              ['Route', known().route],
            ]}
          />
          <Show when={props.run.receipt}>{(receipt) => <Receipt receipt={receipt()} free={props.run.free} />}</Show>
          <Show when={props.run.receiptFailure}>
            {(failure) => (
              <p class="small faint">
                The receipt could not be read ({failure().code}). Ask for it later at GET /v1/requests/
                {known().requestId}.
              </p>
            )}
          </Show>
          <Show when={props.run.failure === null && known().requestId}>
            {(id) => (
              <p class="row small">
                <span class="faint nowrap">Request id</span>
                <code class="trunc">{id()}</code>
                <CopyButton what="the request id" text={id()} bare />
              </p>
            )}
          </Show>
        </>
      )}
    </Show>
  )
}

/** The first call in four steps, run on this very page. */
export function Welcome() {
  const [key, setKey] = createSignal(storedKey())
  const [wantsKey, setWantsKey] = createSignal(false)
  const [model, setModel] = createSignal('gpt-4o')
  const [message, setMessage] = createSignal('Say hello in one sentence')
  const [language, setLanguage] = createSignal<Language>('curl')
  const [models, setModels] = createSignal<{ key: string; ids: string[] }>({ key: '', ids: [] })
  const { run, start, stop } = createRun()
  const modelsId = createUniqueId()
  let keyBox: HTMLDivElement | undefined
  let arrivalBox: HTMLDivElement | undefined

  const kind = () => keyKindOf(key())
  const isLive = () => run.state === 'waiting' || run.state === 'writing'
  const canRun = () => model().trim() !== '' && message().trim() !== ''
  const sample = (apiKey: string) => snippetsOf({ baseUrl: BASE_URL, apiKey, model: model(), message: message() })
  const samples = () => {
    const shown = sample(kind() ? `${key().slice(0, 13)}…` : NO_KEY)
    const copied = sample(kind() ? key() : NO_KEY)
    const both = (name: Language) => ({ code: shown[name], copied: copied[name] })
    return { curl: both('curl'), Node: both('Node'), Python: both('Python') }
  }

  function onKeyInput(text: string): void {
    const found = keyIn(text)
    setKey(found)
    setWantsKey(false)
    if (found === '' || keyKindOf(found)) storeKey(found)
  }

  /** The names that the model field suggests: asked for once a key, when somebody looks. A failure suggests nothing. */
  async function suggestModels(): Promise<void> {
    const own = key()
    if (!kind() || models().key === own) return
    setModels({ key: own, ids: [] })
    const ids = await listModels(BASE_URL, own).catch(() => [])
    if (models().key === own) setModels({ key: own, ids })
  }

  function onRun(): void {
    if (isLive() || !canRun()) return
    if (!kind()) {
      setWantsKey(true)
      keyBox?.querySelector('input')?.focus()
      return
    }
    start({ baseUrl: BASE_URL, apiKey: key(), model: model().trim(), message: message() })
    // Where the answer will be written may lie below the window
    const isCalm = matchMedia('(prefers-reduced-motion: reduce)').matches
    arrivalBox?.scrollIntoView({ block: 'nearest', behavior: isCalm ? 'auto' : 'smooth' })
  }

  const onShortcut = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return
    event.preventDefault()
    onRun()
  }
  onMount(() => document.addEventListener('keydown', onShortcut))
  onCleanup(() => document.removeEventListener('keydown', onShortcut))

  const callState = (): StepState => (kind() === null ? 'todo' : run.state === 'idle' ? 'now' : 'done')
  const arrivalState = (): StepState =>
    isLive() ? 'live' : run.state === 'failed' ? 'failed' : run.state === 'idle' ? 'todo' : 'done'

  return (
    <div class={styles.page}>
      <header class="row">
        <Brand />
        <span class="push" />
        <ThemeSwitch />
      </header>
      <main>
        <div class={styles.head}>
          <h1>Your first call, in four steps</h1>
          <p>
            WatchLLM stands between your code and the model providers: the OpenAI API at one address, every call routed,
            streamed and metered to the last digit.
          </p>
        </div>
        <Steps>
          <Step title="Base URL" state="done">
            <div class={`secret ${styles.key}`}>
              <code>{BASE_URL}</code>
              <CopyButton what="the base URL" text={BASE_URL} />
            </div>
            <p class={`small faint ${styles.hint}`}>Any OpenAI client works once it points here.</p>
          </Step>
          <Step title="Key" state={kind() ? 'done' : 'now'}>
            <div ref={keyBox} class={styles.key}>
              <Field
                label="API key"
                help="The server printed a test key in its terminal at the first start. It stays in this tab."
                error={wantsKey() ? keyError(key()) : undefined}
              >
                {(control) => (
                  <SecretInput
                    control={control}
                    value={key()}
                    placeholder={NO_KEY}
                    onInput={onKeyInput}
                    onLeave={() => setWantsKey(wantsKey() || key() !== '')}
                  />
                )}
              </Field>
            </div>
            <Show when={kind()}>
              <Badge tone="ok">
                {kind() === 'test'
                  ? 'A test key: sandbox models only, free'
                  : 'A project key: real providers answer, and may charge'}
              </Badge>
            </Show>
          </Step>
          <Step title="Call" state={callState()}>
            <div class={styles.call}>
              <Field label="Model" error={model().trim() === '' ? 'Name a model' : undefined}>
                {(control) => (
                  <input
                    {...control}
                    class="inp"
                    value={model()}
                    list={modelsId}
                    autocomplete="off"
                    autocapitalize="off"
                    spellcheck={false}
                    onFocus={suggestModels}
                    onInput={(event) => setModel(event.currentTarget.value)}
                  />
                )}
              </Field>
              <datalist id={modelsId}>
                <For each={models().ids}>{(id) => <option value={id} />}</For>
              </datalist>
              <Field label="Message" error={message().trim() === '' ? 'Write a message' : undefined}>
                {(control) => (
                  <textarea
                    {...control}
                    class="inp"
                    rows="1"
                    value={message()}
                    onInput={(event) => setMessage(event.currentTarget.value)}
                  />
                )}
              </Field>
              <CodeTabs label="Language" samples={samples()} selected={language()} onSelect={setLanguage} />
              <div class={`row wrap ${styles.run}`}>
                <Button
                  tone="go"
                  onClick={onRun}
                  aria-disabled={isLive() || !canRun()}
                  aria-keyshortcuts="Control+Enter Meta+Enter"
                >
                  <Icon name="play" />
                  Run it here
                  <kbd class="hide-s">{RUN_KEYS}</kbd>
                </Button>
                <Show
                  when={isLive()}
                  fallback={
                    <span class="small faint">
                      or paste it into your terminal{kind() ? ': the copy has the whole key' : ''}
                    </span>
                  }
                >
                  <Button onClick={stop}>
                    <Icon name="stop" />
                    Stop
                  </Button>
                </Show>
              </div>
            </div>
          </Step>
          <Step title="Watch it arrive" state={arrivalState()}>
            <div ref={arrivalBox} class={styles.arrival}>
              <Show
                when={run.state !== 'idle' && run.state}
                fallback={
                  <Empty title="No call yet" class={styles.empty}>
                    Run it, and the answer is written here as it arrives, then its receipt.
                  </Empty>
                }
              >
                {(state) => (
                  <Arrival
                    state={state()}
                    sentAt={run.sentAt}
                    tookMs={run.endMs}
                    text={run.text}
                    stops={stopsOf(run)}
                    failure={<Show when={run.failure}>{(failure) => <Failure {...failure()} />}</Show>}
                  >
                    <Known run={run} />
                  </Arrival>
                )}
              </Show>
            </div>
          </Step>
        </Steps>
      </main>
    </div>
  )
}
