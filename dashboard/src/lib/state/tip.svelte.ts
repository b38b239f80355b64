/** The one tooltip of the page. Shown on hover and on keyboard focus, hidden by Escape. */
export interface TipLine {
  text: string;
  tone?: 'strong' | 'muted';
}

class Tip {
  shown = $state.raw<{ lines: TipLine[]; x: number; top: number; bottom: number } | null>(null);

  /** Shows lines above (or, without room, below) a rectangle of the window. */
  at(box: { left: number; right: number; top: number; bottom: number }, lines: TipLine[]): void {
    this.shown = { lines, x: (box.left + box.right) / 2, top: box.top, bottom: box.bottom };
  }

  hide(): void {
    this.shown = null;
  }
}

export const tip = new Tip();
