import './vectors.ts';
import './vectors-gpu.ts';
import './vectors-snp.ts';
