/** The widths at which the layout changes; the same numbers stand in the components' media queries. */
const phone = matchMedia('(max-width: 699px)');

class Viewport {
  phone = $state(phone.matches);

  constructor() {
    phone.addEventListener('change', (event) => (this.phone = event.matches));
  }
}

export const viewport = new Viewport();

export const motionAllowed = (): boolean => !matchMedia('(prefers-reduced-motion: reduce)').matches;
