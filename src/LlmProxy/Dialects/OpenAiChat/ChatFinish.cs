using System.Buffers;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.OpenAiChat;

/// <summary>Writes why a choice ended.</summary>
internal static class ChatFinish
{
    /// <summary>
    /// Writes the value of <c>finish_reason</c>, and after it what that cannot say: <c>stop_reason</c>, the stop sequence, as vLLM names it, and <c>native_finish_reason</c>, the
    /// upstream's own word, as OpenRouter names it.
    /// </summary>
    public static void Write(IBufferWriter<byte> output, in AnswerFinish finish, bool hasRefusal, bool usesFunctions, bool isOurs)
    {
        if (isOurs && finish.NativeToken.Length > 2)
        {
            output.Write(finish.NativeToken);
        }
        else
        {
            output.Write(ChatStop.NameOf(finish.Reason, hasRefusal, usesFunctions));
            if (ChatStop.IsLossy(finish.Reason))
            {
                output.Write(",\"native_finish_reason\":"u8);
                output.Write(finish.NativeToken.Length > 2 ? finish.NativeToken : ChatStop.NativeOf(finish.Reason));
            }
        }
        if (finish.StopSequenceToken.Length > 2)
        {
            output.Write(",\"stop_reason\":"u8);
            output.Write(finish.StopSequenceToken);
        }
    }
}
