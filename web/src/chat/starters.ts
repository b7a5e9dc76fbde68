/** Questions that every model of the catalogue can answer, the bundled one of 0.7 million weights too. */
export const starters = ['What can you do?', 'Who are you?', 'What is Tussah?', 'What is 17 + 25?'] as const;
