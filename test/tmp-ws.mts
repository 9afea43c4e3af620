import { WebSocket } from 'ws'
import { listen } from '../server/runtime/server.ts'
import { webSockets } from '../server/runtime/websocket.ts'
const s = webSockets(async () => (peer: any) => ({ onMessage: (t: string) => peer.send('echo ' + t), onClose() { console.log('closed') } }), { maxMessageBytes: 1000 })
const l = await listen(async () => ({ status: 200, headers: [], body: 'x' }), { host: '127.0.0.1', port: 0, upgrade: s.upgrade })
process.on('unhandledRejection', (e) => console.log('UNH', e))
const c = new WebSocket(l.url.replace('http', 'ws') + '/v1/responses')
c.on('open', () => { console.log('open'); c.send('hi') })
c.on('message', (m: any) => { console.log(String(m)); c.close() })
c.on('error', (e: any) => console.log('err', e))
c.on('close', (a: any) => { console.log('close', a); s.close(); l.close(0) })
setTimeout(() => process.exit(), 4000)
