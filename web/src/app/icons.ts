/** Strokes of the icons, drawn in a square of 24. */
export const icons = {
  arrow: 'M12 19V5M6 11l6-6 6 6',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  chevron: 'M6 9l6 6 6-6',
  copy: 'M9 9h10v10H9zM15 9V5H5v10h4',
  cross: 'M6 6l12 12M18 6L6 18',
  down: 'M12 5v14M6 13l6 6 6-6',
  download: 'M12 4v11M7 10.5l5 5 5-5M5 20h14',
  eye: 'M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12ZM12 9a3 3 0 100 6 3 3 0 000-6Z',
  key: 'M14.5 3.5a6 6 0 00-5.7 7.9L3 17.2V21h3.8v-3H10v-3.2l.6-.6A6 6 0 1014.5 3.5ZM16 8h.01',
  lock: 'M6.5 11h11v9h-11zM9 11V8a3 3 0 016 0v3',
  minus: 'M6 12h12',
  pause: 'M8 5v14M16 5v14',
  play: 'M8 5l11 7-11 7z',
  plus: 'M12 5v14M5 12h14',
  receipt: 'M6 3h12v18l-3-2-3 2-3-2-3 2zM9.5 8h5M9.5 12h5',
  again: 'M19.5 12a7.5 7.5 0 11-2.2-5.3L20 9.4M20 4v5.4h-5.4',
  shield: 'M12 3.5l7 2.5v5.5c0 4.2-2.9 7.6-7 9-4.1-1.4-7-4.8-7-9V6z',
  stop: 'M7 7h10v10H7z',
  upload: 'M12 16V5M7 9.5L12 4.5l5 5M5 20h14',
  warning: 'M12 4l9 16H3zM12 10v4.5M12 17.3v.01',
} as const;

export type IconName = keyof typeof icons;
