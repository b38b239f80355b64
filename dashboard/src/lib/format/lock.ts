/** Words for monitors that belong to a file: they are changed there, not here. */
import type { FilePlace } from '../api/types';

/** `watchpost.yml:12`. */
export function placeWords({ path, line }: FilePlace): string {
  return `${path.slice(path.lastIndexOf('/') + 1)}:${line}`;
}

/** What to write to pause it, or to take it up again. */
export function pauseAdvice(place: FilePlace, active: boolean): string {
  const where = placeWords(place);
  return active
    ? `It is paused in its file: write \`active: false\` at ${where}.`
    : `It is resumed in its file: remove \`active: false\` at ${where}.`;
}
