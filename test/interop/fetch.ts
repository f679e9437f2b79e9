/** The foreign programs: what each is, and how it is installed into a cache outside the tree. */
import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run, succeed } from './process.ts'

const here = dirname(fileURLToPath(import.meta.url))

/** Where a program was found, or why it is missing. */
export type Found = { path: string } | { missing: string }

interface Program {
  about: string
  /** Why even a machine that decides about a change may go without it; its tests are skipped, loudly. */
  dispensable?: string
  /** Answers where the program is, installing it if need be; rejects with the reason when it cannot be had. */
  install: (installer: Installer) => Promise<string>
}

const programs = {
  'kcat': { about: 'librdkafka on the command line (Debian)', install: (installer) => installer.debian('kcat', 'kcat') },
  'cli_mt': { about: "ZooKeeper's C client on the command line (Debian)", install: (installer) => installer.debian('/usr/lib/zookeeper/bin/cli_mt', 'zookeeper-bin') },
  'zkCli': {
    about: "ZooKeeper 3.8's Java command line (Debian)",
    install: async (installer) => {
      await installer.tool('java', 'openjdk-17-jre-headless')
      return installer.debian('/usr/share/zookeeper/bin/zkCli.sh', 'zookeeper')
    },
  },
  'apache': {
    about: 'Apache Kafka 3.9 with its tools and ZooKeeper 3.8 (Maven); its class path',
    install: (installer) =>
      installer.maven('apache', [
        'org.apache.kafka:kafka_2.13:3.9.1',
        'org.apache.kafka:kafka-tools:3.9.1',
        'org.xerial.snappy:snappy-java:1.1.10.5',
        'io.netty:netty-handler:4.1.115.Final',
        'org.slf4j:slf4j-reload4j:1.7.36',
      ]),
  },
  'zookeeper-3.8.0': {
    about: "Debian's ZooKeeper 3.8.0; its class path",
    install: async (installer) => {
      await installer.tool('java', 'openjdk-17-jre-headless')
      await installer.debian('/usr/share/java/zookeeper.jar', 'zookeeper')
      return ['zookeeper', 'slf4j-log4j12', 'log4j-1.2'].map((jar) => `/usr/share/java/${jar}.jar`).join(delimiter)
    },
  },
  'zookeeper-3.9': {
    about: "Apache ZooKeeper 3.9's server (Maven); its class path",
    install: (installer) =>
      installer.maven('zookeeper-3.9', [
        'org.apache.zookeeper:zookeeper:3.9.4', 'org.xerial.snappy:snappy-java:1.1.10.5', 'io.dropwizard.metrics:metrics-core:4.1.12.1', 'commons-cli:commons-cli:1.5.0', 'org.slf4j:slf4j-reload4j:2.0.13',
      ]),
  },
  'kafka4': {
    about: "Kafka 4's Java client (Maven) with the programs of java/kafka; its class path",
    install: (installer) => installer.java('kafka4', ['org.apache.kafka:kafka-clients:4.2.0', 'org.slf4j:slf4j-simple:1.7.36'], ['java/report', 'java/kafka']),
  },
  'kafka-streams': {
    about: "Kafka 3.9's Streams (Maven) with the programs of java/streams; its class path",
    install: (installer) => installer.java('kafka-streams', ['org.apache.kafka:kafka-streams:3.9.1', 'org.slf4j:slf4j-simple:1.7.36'], ['java/streams']),
  },
  'zookeeper-java': {
    about: "ZooKeeper 3.9's Java client (Maven) with the programs of java/zookeeper; its class path",
    install: (installer) =>
      installer.java('zookeeper-java', ['org.apache.zookeeper:zookeeper:3.9.4', 'org.xerial.snappy:snappy-java:1.1.10.5', 'io.dropwizard.metrics:metrics-core:4.1.12.1'], ['java/report', 'java/zookeeper']),
  },
  'python': {
    about: 'kafka-python, confluent-kafka and kazoo (PyPI); their python',
    install: (installer) => installer.python('python', ['kafka-python==3.0.12', 'confluent-kafka==2.16.1', 'kazoo==2.11.0']),
  },
  'go': { about: 'franz-go, sarama and go-zookeeper (Go modules); the folder of the programs in go/', install: (installer) => installer.go('go', 'go') },
  'franz-tests': { about: "franz-go's own tests of its client (Go module), compiled; the program that runs them", install: (installer) => installer.goTests('franz-tests', 'go', 'github.com/twmb/franz-go/pkg/kgo') },
  'npm': {
    about: '@platformatic/kafka and node-zookeeper-client (npm); the folder that has them',
    install: (installer) => installer.npm('npm', { '@platformatic/kafka': '1.35.0', 'node-zookeeper-client': '1.1.3' }),
  },
  'node-rdkafka': {
    about: "node-rdkafka (npm) built against Debian's librdkafka; the folder that has it",
    dispensable: "building it wants Node's headers",
    install: async (installer) => {
      for (const [file, debianPackage] of [['/usr/include/librdkafka/rdkafkacpp.h', 'librdkafka-dev'], ['g++', 'g++'], ['make', 'make']]) await installer.debian(file, debianPackage)
      const folder = await installer.npm('node-rdkafka', { 'node-rdkafka': '3.6.1' }, { BUILD_LIBRDKAFKA: '0' })
      // It was built for one Node and runs on no other.
      await succeed(process.execPath, ['-e', "require('node-rdkafka')"], { cwd: folder })
      return folder
    },
  },
} as const satisfies Record<string, Program>

export type ProgramName = keyof typeof programs

export function about(name: ProgramName): string {
  return programs[name].about
}
/** Undefined: a machine that decides must have it. */
export function dispensable(name: ProgramName): string | undefined {
  const program: Program = programs[name]
  return program.dispensable
}

/** Finds or installs every program of the table. */
export async function fetchAll(): Promise<Record<ProgramName, Found>> {
  const installer = new Installer(process.env.OTTLA_CACHE || join(homedir(), '.cache', 'ottla'))
  const names = Object.keys(programs) as ProgramName[]
  const found = await Promise.all(
    names.map(async (name): Promise<[ProgramName, Found]> => {
      let last: unknown
      // A registry may be away for a moment; what has come stays.
      for (let attempts = 3; attempts > 0; attempts--) {
        try {
          return [name, { path: await programs[name].install(installer) }]
        } catch (error) {
          last = error
        }
      }
      return [name, { missing: (last as Error).message.trim().slice(0, 1_500) }]
    }),
  )
  return Object.fromEntries(found) as Record<ProgramName, Found>
}

const installTimeoutMs = 900_000

class Installer {
  readonly #cache: string
  /** dpkg allows one at a time; and two cores are not served by five compilers. */
  #turn: Promise<unknown> = Promise.resolve()
  #listed = false

  constructor(cache: string) {
    this.#cache = cache
  }

  /** A command or file that Debian's package brings; answers its path. */
  async debian(file: string, debianPackage: string): Promise<string> {
    return located(file) ?? this.#inTurn(async () => located(file) ?? (await this.#aptInstall(file, debianPackage)))
  }

  /** A tool the other recipes need. */
  async tool(command: string, debianPackage: string): Promise<string> {
    return this.debian(command, debianPackage)
  }

  async maven(name: string, artifacts: readonly string[]): Promise<string> {
    await this.tool('java', 'openjdk-17-jre-headless')
    const folder = await this.#cached(name, artifacts.join('\n'), async (into) => {
      const mvn = await this.tool('mvn', 'maven')
      writeFileSync(join(into, 'pom.xml'), pom(artifacts))
      await succeed(mvn, ['-q', '-B', 'dependency:copy-dependencies', `-DoutputDirectory=${join(into, 'jars')}`], { cwd: into, timeoutMs: installTimeoutMs })
    })
    return join(folder, 'jars', '*')
  }

  /** Libraries from Maven, and sources compiled against them. */
  async java(name: string, artifacts: readonly string[], sources: readonly string[]): Promise<string> {
    const libraries = await this.maven(`${name}-lib`, artifacts)
    const files = sources.flatMap((folder) => sourcesIn(folder, '.java'))
    const folder = await this.#cached(name, libraries + contents(files), async (into) => {
      const javac = await this.tool('javac', 'openjdk-17-jdk-headless')
      await succeed(javac, ['-nowarn', '-cp', libraries, '-d', join(into, 'classes'), ...files], { timeoutMs: installTimeoutMs })
    })
    return [join(folder, 'classes'), libraries].join(delimiter)
  }

  async python(name: string, packages: readonly string[]): Promise<string> {
    const folder = await this.#cached(name, packages.join('\n'), async (into, final) => {
      const python = await this.tool('python3', 'python3')
      if ((await run(python, ['-c', 'import ensurepip, venv'])).code !== 0) await this.#aptInstall('/usr/bin/python3', 'python3-venv')
      // A venv knows its own path, so it is made where it will stay.
      rmSync(final, { recursive: true, force: true })
      await succeed(python, ['-m', 'venv', final], { timeoutMs: installTimeoutMs })
      await succeed(join(final, 'bin', 'pip'), ['install', '-q', '--disable-pip-version-check', ...packages], { timeoutMs: installTimeoutMs, cwd: into })
    })
    return join(folder, 'bin', 'python')
  }

  async go(name: string, sources: string): Promise<string> {
    const files = [...sourcesIn(sources, '.go'), ...sourcesIn(sources, 'go.mod'), ...sourcesIn(sources, 'go.sum')]
    return this.#cached(name, contents(files), async (into) => {
      await this.#go(sources, ['build', '-modfile', copyOfModule(sources, into), '-o', `${into}/`, './...'])
    })
  }

  /** The tests of a package that the module in `sources` requires, at the version it requires, as one program. */
  async goTests(name: string, sources: string, goPackage: string): Promise<string> {
    const folder = await this.#cached(name, goPackage + contents([...sourcesIn(sources, 'go.mod'), ...sourcesIn(sources, 'go.sum')]), async (into) => {
      await this.#go(sources, ['test', '-modfile', copyOfModule(sources, into), '-c', '-o', join(into, 'tests'), goPackage])
    })
    return join(folder, 'tests')
  }

  async #go(sources: string, args: readonly string[]): Promise<void> {
    const go = await this.tool('go', 'golang-go')
    const env = { GOFLAGS: '-mod=mod -trimpath', GOMODCACHE: join(this.#cache, 'go-modules'), GOCACHE: join(this.#cache, 'go-build') }
    await succeed(go, args, { cwd: join(here, sources), env, timeoutMs: installTimeoutMs })
  }

  async npm(name: string, dependencies: Record<string, string>, env: Record<string, string> = {}): Promise<string> {
    const manifest = JSON.stringify({ private: true, dependencies }, undefined, 2)
    return this.#cached(name, manifest, async (into) => {
      writeFileSync(join(into, 'package.json'), manifest)
      await succeed('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: into, env, timeoutMs: installTimeoutMs })
    })
  }

  /** The finished folder of a recipe, made now if it was not made before. A fetch that fails leaves nothing behind. */
  async #cached(name: string, recipe: string, make: (into: string, final: string) => Promise<void>): Promise<string> {
    const final = join(this.#cache, `${name}-${createHash('sha256').update(recipe).digest('hex').slice(0, 12)}`)
    const done = join(final, '.complete')
    if (existsSync(done)) return final
    const into = `${final}.part-${process.pid}`
    rmSync(into, { recursive: true, force: true })
    mkdirSync(into, { recursive: true })
    try {
      await make(into, final)
      if (existsSync(final) && name === 'python') rmSync(into, { recursive: true, force: true })
      else {
        rmSync(final, { recursive: true, force: true })
        renameSync(into, final)
      }
      writeFileSync(done, recipe)
      return final
    } catch (error) {
      rmSync(into, { recursive: true, force: true })
      throw error
    }
  }

  async #aptInstall(file: string, debianPackage: string): Promise<string> {
    const apt = located('apt-get')
    if (apt === undefined) throw new Error(`${file} is missing, and there is no apt-get to install ${debianPackage} with`)
    if (process.getuid?.() !== 0) throw new Error(`${file} is missing: run "apt-get install ${debianPackage}" as root`)
    const env = { DEBIAN_FRONTEND: 'noninteractive' }
    if (!this.#listed) this.#listed = (await run(apt, ['update', '-q'], { env, timeoutMs: installTimeoutMs })).code === 0
    await succeed(apt, ['install', '-y', '-q', '--no-install-recommends', debianPackage], { env, timeoutMs: installTimeoutMs })
    const path = located(file)
    if (path === undefined) throw new Error(`Debian's ${debianPackage} is installed, but has no ${file}`)
    return path
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work, work)
    this.#turn = mine.catch(() => undefined)
    return mine
  }
}

function located(file: string): string | undefined {
  if (file.startsWith('/')) return existsSync(file) ? file : undefined
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, file)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not in this folder.
    }
  }
  return undefined
}

function sourcesIn(folder: string, ending: string): string[] {
  return readdirSync(join(here, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(ending))
    .sort()
    .map((file) => join(here, folder, file))
}

function contents(files: readonly string[]): string {
  return files.map((file) => readFileSync(file, 'utf8')).join('\0')
}

/** Go may note what it learned in go.mod and go.sum: in a copy, not in the tree. */
function copyOfModule(sources: string, into: string): string {
  for (const file of ['go.mod', 'go.sum']) writeFileSync(join(into, file), readFileSync(join(here, sources, file)))
  return join(into, 'go.mod')
}

function pom(artifacts: readonly string[]): string {
  const dependencies = artifacts.map((artifact) => {
    const [group, name, version] = artifact.split(':')
    return `<dependency><groupId>${group}</groupId><artifactId>${name}</artifactId><version>${version}</version></dependency>`
  })
  return [
    '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>',
    '<groupId>interop</groupId><artifactId>interop</artifactId><version>1</version><dependencies>',
    ...dependencies,
    '</dependencies></project>',
  ].join('\n')
}
