/** The same tests as in Node, inside Chromium. */
import './padding.test.ts';
import './request.test.ts';
import './response.test.ts';
import './vectors.test.ts';
