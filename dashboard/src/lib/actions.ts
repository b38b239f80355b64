/** What a user can do to a monitor, with the answer in words. Shared by rows, keys and the monitor's page. */
import { api, words } from './api/client';
import type { CheckAnswer, Monitor } from './api/types';
import { pauseAdvice } from './format/lock';
import { latency } from './format/number';
import { VERDICT_WORDS, reasonWords } from './format/words';
import { app } from './state/app.svelte';
import { toasts } from './state/toasts.svelte';

/** `Plex: pass in 43 ms` or `Plex: fail, Connection refused`. */
export function checkSentence({ monitor, result }: CheckAnswer): string {
  const verdict = VERDICT_WORDS[result.verdict].toLowerCase();
  const why = reasonWords(result.reason);
  return `${monitor.name}: ${verdict}${why === null ? ` in ${latency(result.timings_us.total)}` : `, ${why}`}`;
}

export async function checkNow(id: string): Promise<void> {
  const name = app.rows.get(id)?.item.name ?? id;
  const running = toasts.add(`Checking ${name}...`);
  try {
    const answer = await api.check(id);
    toasts.add(checkSentence(answer), { tone: answer.result.verdict === 'fail' ? 'bad' : 'good' });
  } catch (error) {
    toasts.add(`${name} was not checked: ${words(error)}`, { tone: 'bad' });
  } finally {
    toasts.drop(running);
  }
}

/** Pauses or resumes; the answer is the monitor, or the words of a refusal. */
export async function setPaused(id: string, paused: boolean): Promise<Monitor | { refused: string }> {
  try {
    const monitor = await (paused ? api.pause(id) : api.resume(id));
    app.patch(id, {
      state: monitor.state, since: monitor.since, active: monitor.active,
      reason: monitor.reason, failing: monitor.failing,
    });
    return monitor;
  } catch (error) {
    return { refused: refusal(error, paused) };
  }
}

function refusal(error: unknown, paused: boolean): string {
  const verb = paused ? 'paused' : 'resumed';
  return `It was not ${verb}: ${sentence(words(error))}`;
}

/** The server's detail may start in the middle of a sentence. */
const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);

export async function togglePause(id: string): Promise<void> {
  const item = app.rows.get(id)?.item;
  if (!item) return;
  const file = await app.learnFile(id);
  if (file) {
    toasts.add(`${item.name}: ${pauseAdvice(file, item.active)}`);
    return;
  }
  const paused = item.active;
  const answer = await setPaused(id, paused);
  if ('refused' in answer) toasts.add(`${item.name}: ${answer.refused}`, { tone: 'bad' });
  else {
    toasts.add(`${item.name} is ${paused ? 'paused' : 'resumed'}.`, {
      undo: () => void setPaused(id, !paused),
    });
  }
}
