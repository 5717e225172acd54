#!/usr/bin/env python3
"""The listener's test set: speech_testset.py FOLDER [--clips 300] -> clean/*.wav, noisy/*.wav, truth.jsonl; fixed seed.

Sentences that training never saw (half of them written here, half held out of the installed documents by their hash), voices that
never spoke in training (in every clip an unseen variant of an accent; in a quarter the accents are the two that are farthest from the
others), rates of speech that no training clip was spoken at. The noisy clips are the clean ones behind noise (all: 5 to 20 dB), a room (half) and a narrow band (half).
WAV, 22,050 Hz as espeak-ng makes them (clean) or 16 kHz (noisy), 16 bit.
"""
import argparse
import json
import os
import random
import wave
import numpy as np
import sounds
import speech_texts
import voices

SENTENCES = """
The library closes early on Fridays during the summer.
She left her umbrella on the train this morning.
Please send me the minutes of the last meeting.
We moved the appointment from Tuesday to Thursday.
The new bridge will open to traffic next spring.
My grandmother keeps bees behind the barn.
Could you turn the heating down a little?
The price of bread has gone up again.
Nobody expected the storm to last so long.
He plays the violin in a small orchestra.
Our neighbours are painting their fence green.
I would rather stay at home tonight.
The children built a castle out of sand.
Take the second road on the right after the church.
Her flight was delayed by more than three hours.
There is a message for you on the table.
The doctor told him to drink more water.
They have been friends since they were at school.
Wait for me outside the main entrance.
The committee will vote on the proposal tomorrow.
It was the coldest winter in forty years.
The museum is free on the first Sunday of every month.
Somebody has taken the last piece of cake.
I have never seen so many stars before.
The engine makes a strange noise when it is cold.
We should have bought the tickets in advance.
The old mill stands beside the river.
Are you coming with us to the theatre?
He wrote a long letter to the newspaper.
The kitchen smells of onions and fresh coffee.
Do you remember the name of that restaurant?
The team lost the match in the last minute.
A heavy lorry blocked the road for an hour.
The roof has to be repaired before winter.
She speaks four languages and is learning a fifth.
The shop around the corner sells excellent cheese.
Most of the students passed the examination.
The captain ordered his men to lower the sails.
I cannot find my glasses anywhere.
The government has promised to lower taxes.
His office is on the seventh floor.
The dog barked at the postman and ran away.
We need two more chairs for the guests.
The water in the lake is too cold for swimming.
What time does the pharmacy open on Saturday?
The farmer sold his cows at the market.
You can borrow my bicycle until the weekend.
The report describes what went wrong and why.
A thick fog covered the whole valley.
They are going to build a hospital near the station.
The teacher asked us to read the first chapter.
I think we have met somewhere before.
The lights went out in the middle of dinner.
My brother works for a company that makes furniture.
The soup needs a little more salt.
It took them six days to cross the desert.
The judge did not believe a word of his story.
There were only twelve people in the audience.
Put the plates back into the cupboard, please.
The snow had melted by the end of March.
Several trees fell down during the night.
She has a meeting with her lawyer at half past two.
The bus was so full that we had to stand.
He fell asleep in front of the television.
The concert begins at eight o'clock in the town hall.
Your parcel will be delivered on Wednesday.
The cat jumped onto the wall and looked at us.
We spent our holidays on a small island.
The factory produces nine hundred bottles an hour.
Everyone laughed when the actor forgot his lines.
I will call you back as soon as I can.
The path leads through the forest to a waterfall.
The company was founded by two brothers.
Does this train stop at every station?
The gardener cut the hedge and swept the path.
She opened the window to let in some fresh air.
The patient is feeling much better today.
Our car broke down on the way to the coast.
The baker gets up at three in the morning.
They discussed the plan for more than an hour.
The boy threw a stone into the pond.
A small fire started in the basement.
The answer to your question is on the last page.
He always carries a knife and a piece of string.
The wind blew the papers off the desk.
Where did you put the key to the garage?
The soldiers marched through the empty streets.
It is cheaper to travel by bus than by train.
The queen opened the new session of parliament.
We had soup, fish and a glass of white wine.
The machine stopped because a belt was broken.
She painted the walls of her bedroom yellow.
The results will be published in the autumn.
Please leave your coat and bag at the desk.
The ship arrived at the harbour two days late.
My uncle repairs clocks and watches.
The mountain is hidden behind the clouds.
Nothing is more important than good health.
The police are looking for a man with a grey beard.
You have to press the red button to start it.
The students cleaned the laboratory after the lesson.
He paid for the meal and left without a word.
The meeting was shorter than we had expected.
A new edition of the dictionary appears every five years.
The birds fly south when the days get shorter.
I forgot to water the plants before we left.
The hotel has a swimming pool and a large garden.
Their house is the last one on the left.
The thief escaped through the kitchen window.
We are waiting for an answer from the bank.
The carpet in the hall is old and dirty.
She was born in a village near the border.
The lesson begins with a short test.
The price includes breakfast and dinner.
He broke his leg when he was skiing.
The manager wants to see the figures by noon.
Tomorrow will be sunny with a light breeze.
The guests arrived before the food was ready.
Children under six travel free of charge.
The bottle fell off the shelf and broke.
I would like a table for four near the window.
The village has a school, a church and two shops.
He tried to open the door, but it was locked.
The song reminded her of her childhood.
Several members of the club were absent.
The river rises high in the mountains.
We ought to leave before it gets dark.
The scientists could not explain the result.
His speech lasted for almost two hours.
Please speak more slowly, I cannot follow you.
The tower was built in the twelfth century.
A good book is the best company on a journey.
The shoes were too small, so she took them back.
The train to the airport leaves every fifteen minutes.
My sister wants to become an engineer.
The office will be closed between Christmas and the new year.
The cook burned the potatoes again.
They lived in a tent for the whole summer.
The cheapest room costs eighty pounds a night.
You should ask somebody who knows the city.
The lamp over the table does not work.
The cows were standing in the shade of a tree.
He promised to return the money within a month.
The accident happened at a quarter to six.
There is not enough room for a piano.
The bell rang, and the children ran outside.
She keeps her letters in a wooden box.
The storm damaged more than fifty houses.
""".strip().splitlines()


def spoken(r, speaker, variants, text):
    """One clip and how it was made."""
    while True:
        accents = voices.FAR_ACCENTS if r.random() < .25 else voices.ACCENTS
        who, speed, pitch = voices.voice(r, accents, variants), voices.speed(r, voices.TEST_SPEEDS), r.randrange(30, 71)
        x, _ = speaker.say(text, who, speed, pitch)
        if len(x):
            pad = lambda: np.zeros(r.randrange(1000, 9000), np.int16)
            return np.concatenate((pad(), x, pad())), {"voice": who, "speed": speed, "pitch": pitch}


def spoiled(g, x, noises):
    x = sounds.resampled(x.astype(np.float32) / 32768, voices.RATE)
    facts = {"decibels": round(float(g.uniform(5, 20)), 1)}
    if g.uniform() < .5:
        facts["room"] = round(float(g.uniform(.15, .6)), 2)
        x = sounds.in_room(x, sounds.room(g, facts["room"]))
    x = sounds.add_noise(x, noises.draw(g, len(x)), facts["decibels"])
    if g.uniform() < .5:
        facts["band"] = [int(g.uniform(60, 350)), int(g.uniform(3000, 6000))]
        x = sounds.band(x, *facts["band"])
    return (x * (.7 * 32767 / np.abs(x).max())).astype(np.int16), facts


def write(path, x, rate):
    with wave.open(path, "wb") as out:
        out.setnchannels(1), out.setsampwidth(2), out.setframerate(rate)
        out.writeframes(x.tobytes())


def main():
    args = argparse.ArgumentParser()
    args.add_argument("folder")
    args.add_argument("--clips", type=int, default=300)
    args.add_argument("--seed", type=int, default=2026)
    args = args.parse_args()
    r, g = random.Random(args.seed), np.random.default_rng(args.seed)
    unseen = [s for s in speech_texts.SpeechTexts().test if 4 <= len(s.split()) <= 14]
    written = [s for s in SENTENCES if s.strip()]
    texts = [s for pair in zip(r.choices(written, k=args.clips) if args.clips > 2 * len(written) else r.sample(written, args.clips // 2),
                               r.sample(unseen, args.clips - args.clips // 2)) for s in pair]
    speaker, clips = voices.Speaker(), []
    for text in texts:
        clips.append((text, *spoken(r, speaker, voices.TEST_VARIANTS, text)))
    noises = sounds.Noises(g, [sounds.resampled(x, voices.RATE) / 32768 for _, x, _ in clips[:60]])
    for kind in ("clean", "noisy"):
        os.makedirs(os.path.join(args.folder, kind), exist_ok=True)
    with open(os.path.join(args.folder, "truth.jsonl"), "w", encoding="utf-8") as out:
        for i, (text, x, facts) in enumerate(clips):
            worse, how = spoiled(g, x, noises)
            for kind, samples, rate, more in (("clean", x, voices.RATE, {}), ("noisy", worse, sounds.RATE, how)):
                name = f"{kind}/{i:03}.wav"
                write(os.path.join(args.folder, name), samples, rate)
                out.write(json.dumps({"file": name, "kind": kind, "text": text, **facts, **more}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
