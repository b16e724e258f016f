import { createRequire } from 'module';
import path from 'path';

// eslint's own rules are installed with it, in build/npm.
const require = createRequire(path.resolve('build/npm/index.js'));
const { configs } = require('@eslint/js');
const globals = Object.fromEntries([
  'AbortController', 'Buffer', 'DOMException', 'URL', '__dirname', '__filename', 'clearInterval',
  'clearTimeout', 'console', 'exports', 'module', 'process', 'require', 'setImmediate',
  'setInterval', 'setTimeout',
].map((name) => [name, 'readonly']));


export default [
  configs.recommended,
  {
    languageOptions: { ecmaVersion: 2022, sourceType: 'commonjs', globals },
    rules: {
      'consistent-return': 'error',
      curly: 'error',
      eqeqeq: 'error',
      'max-len': ['error', 100],
      'no-shadow': 'error',
      'no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      'no-use-before-define': ['error', 'nofunc'],
      'no-var': 'error',
      'prefer-const': 'error',
      quotes: ['error', 'single', { avoidEscape: true, allowTemplateLiterals: true }],
      semi: 'error',
      strict: ['error', 'global'],
    },
  },
  { files: ['**/*.mjs'], languageOptions: { sourceType: 'module' } },
];
