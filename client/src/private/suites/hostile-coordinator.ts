/** The coordinator that is written to cheat: each lie is refused with its code. */
import './lies-about-evidence.ts';
import './lies-about-request.ts';
import './lies-about-order.ts';
import './lies-about-answer.ts';
import './lies-about-charge.ts';
import './lies-about-directory.ts';
